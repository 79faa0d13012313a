"""The chart, rendered by Helm and judged by Kubernetes' schemas and by what no schema knows."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from pydantic import SecretStr

from tests.cells import each
from worker.language.rules import Mode
from worker.settings import Settings, describe

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]  # Helm is a program of its own
CHART = Path(__file__).parents[1] / "helm"
HELM = Path(sys.executable).with_name("helm")
TOKEN = "a-token-that-must-not-be-seen"  # noqa: S105 - an invented one
GIVEN: dict[str, Any] = {
    "secret": {"CLOUDFLARE_API_TOKEN": TOKEN, "WORKER_NOTIFY_SOC": "json://soc.example"},
    "settings": {
        "CLOUDFLARE_ACCOUNT_ID": "023e105f4ecef8ad9ca31a8372d0c353",
        "CLOUDFLARE_BASE_URL": "https://proxy.example/client/v4",
        "WORKER_BUDGET": "1200/300s",
        "WORKER_BUDGET_SHARE": 0.5,
        "WORKER_CEILING": "approve",
        "WORKER_LOG_LEVEL": "debug",
        "WORKER_POLL_EVERY": "500ms",
        "WORKER_SWEEP": "0s",
    },
    "rules": {"outbreak.py": '"""Phishing that others have seen."""\n'},
    "podAnnotations": {"team": "soc"},
}
EXISTING: dict[str, Any] = {
    "existingSecret": "our-token",
    "existingConfigMap": "our-rules",
    "imagePullSecrets": [{"name": "our-registry"}],
    "persistence": {"existingClaim": "our-ledger"},
}


class Refused(Exception):
    """Helm makes nothing of these values; the text says why."""


@cache
def run_helm(values: str, *words: str) -> str:
    """Return what Helm prints for some values, in JSON; raise Refused."""
    command = [str(HELM), *words, "--kube-version", "1.34.0", "--values", "-"]
    done = subprocess.run(command, input=values, capture_output=True, text=True, check=False)  # noqa: S603 (our own)
    if done.returncode:
        raise Refused(done.stderr + done.stdout)
    return done.stdout


def render(values: dict[str, Any], release: str = "rel") -> dict[str, Any]:
    """Give the objects of a release by kind; the chart makes at most one of each."""
    text = run_helm(json.dumps(values), "template", release, str(CHART), "--namespace", "ns")
    objects = [one for one in yaml.load_all(text, yaml.CSafeLoader) if one]
    kinds = {each["kind"]: each for each in objects}
    assert len(kinds) == len(objects)
    return kinds


def pod(values: dict[str, Any], release: str = "rel") -> Any:  # noqa: ANN401 - parsed YAML
    """Give the pod template of a release."""
    return render(values, release)["Deployment"]["spec"]["template"]


def container(values: dict[str, Any]) -> Any:  # noqa: ANN401 - parsed YAML
    """Give the one container of the pod."""
    (only,) = pod(values)["spec"]["containers"]
    return only


def volumes(values: dict[str, Any]) -> dict[str, Any]:
    """Give the pod's volumes by name."""
    return {each["name"]: each for each in pod(values)["spec"]["volumes"]}


@pytest.mark.parametrize("values", [GIVEN, EXISTING])
def test_the_strict_linter_finds_nothing(values: dict[str, Any]) -> None:
    told = run_helm(json.dumps(values), "lint", str(CHART), "--strict")
    assert [line for line in told.splitlines() if line.startswith("[")] == ["[INFO] Chart.yaml: icon is recommended"]


@each("version", ["1.25", "1.34", "1.37"])
@each("values", [GIVEN, EXISTING])
def test_every_object_is_what_kubernetes_expects(values: dict[str, Any], version: str) -> None:
    objects = render(values)
    assert {"Deployment", "Service", "ServiceAccount"} <= objects.keys()
    for one in objects.values():
        kubernetes_validate.validate(one, version, strict=True)


@pytest.mark.parametrize("release", ["rel", "worker", "123"])
def test_what_selects_pods_selects_ours(release: str) -> None:
    objects = render(GIVEN, release)
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for selector in (objects["Deployment"]["spec"]["selector"]["matchLabels"], objects["Service"]["spec"]["selector"]):
        assert selector["app.kubernetes.io/instance"] == release
        assert selector.items() <= labels.items()


def test_service_and_probes_meet_the_port_that_the_worker_listens_on() -> None:
    worker = container(GIVEN)
    ports = {each["name"]: each["containerPort"] for each in worker["ports"]}
    wanted = [each["targetPort"] for each in render(GIVEN)["Service"]["spec"]["ports"]]
    probes = [worker["livenessProbe"]["httpGet"], worker["readinessProbe"]["httpGet"]]
    assert probes == [{"path": "/livez", "port": "http"}, {"path": "/startz", "port": "http"}]
    assert ports.keys() == set(wanted) == {"http"}
    assert environment(GIVEN)["WORKER_LISTEN"] == f"0.0.0.0:{ports['http']}"


def environment(values: dict[str, Any]) -> dict[str, str]:
    """Give the container's environment; a name set twice would be lost here, so it is refused."""
    pairs = [(each["name"], each["value"]) for each in container(values)["env"]]
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def test_the_worker_understands_everything_that_the_chart_tells_it(tmp_path: Path) -> None:
    for name, text in render(GIVEN)["Secret"]["stringData"].items():
        (tmp_path / name).write_text(text)
    told = Settings.load({**environment(GIVEN), "WORKER_SECRETS": str(tmp_path)})
    (account,) = told.accounts()
    assert (account.id, account.token) == (GIVEN["settings"]["CLOUDFLARE_ACCOUNT_ID"], SecretStr(TOKEN))
    assert (told.ceiling, told.budget_share, told.drain) == (Mode.APPROVE, 0.5, 20.0)
    assert told.channels == {"soc": SecretStr("json://soc.example")}


@pytest.mark.parametrize("kind", ["settings", "secret"])
def test_every_name_that_the_chart_can_set_is_a_setting(kind: str) -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert schema["properties"][kind]["properties"].keys() <= {each.name for each in describe()}


def test_credentials_arrive_as_files_and_nowhere_else() -> None:
    objects = render(GIVEN)
    mounts = {each["name"]: each["mountPath"] for each in container(GIVEN)["volumeMounts"]}
    assert objects["Secret"]["stringData"] == GIVEN["secret"]
    assert volumes(GIVEN)["secrets"]["secret"]["secretName"] == objects["Secret"]["metadata"]["name"]
    assert mounts["secrets"] == environment(GIVEN)["WORKER_SECRETS"]
    assert [kind for kind, each in objects.items() if TOKEN in yaml.safe_dump(each)] == ["Secret"]


def test_rules_are_mounted_where_the_worker_looks() -> None:
    mounts = {each["name"]: each["mountPath"] for each in container(GIVEN)["volumeMounts"]}
    assert render(GIVEN)["ConfigMap"]["data"] == GIVEN["rules"]
    assert volumes(GIVEN)["rules"]["configMap"]["name"] == render(GIVEN)["ConfigMap"]["metadata"]["name"]
    assert mounts["rules"] == environment(GIVEN)["WORKER_RULES"]


def test_without_rules_those_of_the_image_stay_in_place() -> None:
    assert "rules" not in volumes({"existingSecret": "our-token"})
    assert "ConfigMap" not in render({"existingSecret": "our-token"})


def test_what_exists_is_used_and_not_made() -> None:
    assert render(EXISTING).keys() == {"Deployment", "Service", "ServiceAccount"}
    found = volumes(EXISTING)
    assert found["secrets"]["secret"]["secretName"] == "our-token"
    assert found["rules"]["configMap"]["name"] == "our-rules"
    assert found["data"]["persistentVolumeClaim"]["claimName"] == "our-ledger"


def test_the_ledger_is_on_the_claim_and_outlives_the_release() -> None:
    claim = render(GIVEN)["PersistentVolumeClaim"]
    mounts = {each["name"]: each["mountPath"] for each in container(GIVEN)["volumeMounts"]}
    assert volumes(GIVEN)["data"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert environment(GIVEN)["WORKER_STORE_URL"].startswith(f"sqlite:///{mounts['data']}/")


def test_never_two_workers_on_one_ledger() -> None:
    spec = render(GIVEN)["Deployment"]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_a_changed_secret_restarts_and_a_changed_rule_does_not() -> None:
    rotated = {**GIVEN, "secret": {"CLOUDFLARE_API_TOKEN": "another"}}
    rewritten = {**GIVEN, "rules": {"outbreak.py": '"""Written anew."""\n'}}
    assert pod(rotated) != pod(GIVEN)
    assert pod(rewritten) == pod(GIVEN)


@pytest.mark.parametrize("drain", [1, 20, 600])
def test_kubernetes_waits_longer_than_the_worker_needs_to_stop(drain: int) -> None:
    values = {**GIVEN, "drainSeconds": drain}
    assert environment(values)["WORKER_DRAIN"] == f"{drain}s"
    assert pod(values)["spec"]["terminationGracePeriodSeconds"] > drain


def test_the_pod_can_do_nothing_that_it_need_not() -> None:
    spec, own = pod(GIVEN)["spec"], container(GIVEN)["securityContext"]
    assert own == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert render(GIVEN)["ServiceAccount"]["automountServiceAccountToken"] is False


def test_a_service_called_worker_sets_no_variables() -> None:
    assert pod(GIVEN, "worker")["spec"]["enableServiceLinks"] is False


@each(
    "bad",
    [
        {"replicas": 2},
        {"settings": {"WORKER_CIELING": "enforce"}},
        {"settings": {"WORKER_CEILING": "off"}},
        {"settings": {"WORKER_SETTLE": "soon"}},
        {"settings": {"WORKER_BUDGET_SHARE": 80}},
        {"settings": {"CLOUDFLARE_API_TOKEN": TOKEN}},
        {"secret": {"CLOUDFLARE_TOKEN": TOKEN}},
        {"secret": {"CLOUDFLARE_API_TOKEN": ""}},
        {"rules": {"../outbreak.py": "x"}},
        {"drainSeconds": 0},
        {"service": {"port": 99999}},
        {"resources": {"limits": {"memory": "much"}}},
        {"persistence": {"size": "2 GB"}},
    ],
)
def test_a_bad_value_is_refused_before_anything_is_installed(bad: dict[str, Any]) -> None:
    with pytest.raises(Refused, match=rf"(?s)values don't meet .*{next(iter(bad))}"):
        render({**GIVEN, **bad})


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "No credentials: set existingSecret"),
        ({**GIVEN, "existingSecret": "our-token"}, "Both secret and existingSecret are given"),
        ({**GIVEN, "existingConfigMap": "our-rules"}, "Both rules and existingConfigMap are given"),
    ],
)
def test_values_that_contradict_each_other_are_named(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        render(values)
