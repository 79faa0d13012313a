"""`worker audit key` makes keys that nobody else can read, and never writes over one."""

from tests.cli.shell import Shell
from worker.audit.keys import read_pair, read_public


def test_a_key_is_made_for_its_owner_alone_and_its_public_half_is_printed(shell: Shell) -> None:
    file = shell.folder / "audit.key"
    code, out, _ = shell.type("audit", "key", str(file))
    pair = read_pair(file.read_text(), "it")
    assert (code, read_public(out, "it"), pair.succession) == (0, pair.public, None)
    assert file.stat().st_mode & 0o777 == 0o600
    code, out, err = shell.type("audit", "key", str(file))
    assert (code, out, "is there already, and a lost key cannot be made again: name another file" in err) == (
        2,
        "",
        True,
    )
    assert read_pair(file.read_text(), "it") == pair


def test_a_key_that_follows_another_has_its_word(shell: Shell) -> None:
    old, new = shell.folder / "old.key", shell.folder / "new.key"
    shell.type("audit", "key", str(old))
    code, _, _ = shell.type("audit", "key", str(new), "--after", str(old))
    given = read_pair(new.read_text(), "it").succession
    assert given
    assert (code, given.was_given_by(read_pair(old.read_text(), "it").public)) == (0, True)
    code, _, err = shell.type("audit", "key", str(shell.folder / "third.key"), "--after", "none.key")
    assert (code, "--after cannot be read (No such file or directory)" in err) == (2, True)
    assert not (shell.folder / "third.key").exists()
