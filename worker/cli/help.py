"""What --help shows of arguments: their names and meanings, without the types that Python gives them."""

from typing import Any

from typer.core import TyperCommand


class WithArguments(TyperCommand):
    """A command that takes arguments; the library would write ``FILE <list[Path]>``."""

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 (the library's private classes)
        """Write the arguments by their names, then the options."""
        told = [(one, record) for one in self.get_params(ctx) if (record := one.get_help_record(ctx))]
        with formatter.section("Arguments"):
            formatter.write_dl([
                (one.metavar, meaning) for one, (_, meaning) in told if one.param_type_name == "argument"
            ])  # fmt: skip
        with formatter.section("Options"):
            formatter.write_dl([record for one, record in told if one.param_type_name == "option"])
