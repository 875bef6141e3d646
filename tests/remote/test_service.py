"""The service without a socket: paths, rights, options, errors, audit."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from sapwood.errors import AccessDenied, BusError, RecorderFault
from sapwood.remote import Role, Service
from sapwood.remote.errors import unpack_error
from sapwood.remote.session import Session

B = "Top.Bench."


class Desk:
    """A service with one session."""

    def __init__(self, root: Any, role: str = "operator", **options: Any) -> None:
        self.service = Service(root, anonymous=role, **options)
        self.session: Session = self.service.login(name="me")

    def __call__(self, op: str, **request: Any) -> Any:
        reply = self.service.handle(self.session, {"op": op, **request})
        assert set(reply) in ({"ok"}, {"error"})
        if "error" in reply:
            raise unpack_error(reply["error"])
        return reply["ok"]

    def get(self, *names: str, **options: Any) -> Any:
        return self("get", paths=[B + name for name in names], **options)

    def set(self, name: str, value: Any, **options: Any) -> Any:
        return self("set", pairs=[[B + name, value]], **options)

    def call(self, name: str, arg: Any = None, **options: Any) -> Any:
        return self("call", path=B + name, arg=arg, **options)

    def error(self, op: str, **request: Any) -> dict[str, Any]:
        reply = self.service.handle(self.session, {"op": op, **request})
        facts: dict[str, Any] = reply["error"]
        return facts


@pytest.fixture
def desk(top: Any) -> Iterator[Desk]:
    desk = Desk(top)
    yield desk
    desk.service.close()


# ---- get and set


def test_get_reads_the_hardware_unless_told_not_to(desk: Desk, top: Any) -> None:
    top.Bench.Reg.set(5)
    top.Bench.Reg.set(9, write=False)  # staged only
    assert desk.get("Reg", read=False) == [9]
    top.Bench.Reg.write()
    assert desk.get("Reg", "Int", "Text") == [9, 1, "abc"]


def test_texts_and_elements(desk: Desk) -> None:
    assert desk.get("Mode", "Flag", disp=True) == ["Off", "False"]
    assert desk.set("Mode", "Auto", disp=True) == 1
    assert desk.get("Mode") == [2]
    desk.set("Table", np.arange(8, dtype=np.uint32))
    desk.set("Table", 77, index=3)
    assert desk.get("Table", index=3) == [77]
    assert desk.get("Table")[0].tolist() == [0, 1, 2, 77, 4, 5, 6, 7]


def test_set_can_stage_and_post(desk: Desk, top: Any) -> None:
    desk.set("Reg", 4, write=False)
    assert top.Bench.Reg.value() == 4
    assert top.Bench.Reg._block.staged
    desk.set("Reg", 6, post=True)
    assert top.Bench.Reg.get() == 6


def test_the_alias_root_and_array_nodes(desk: Desk) -> None:
    assert desk("get", paths=["root.Bench.Ch[2]", "Top.Bench.Ch[1]"]) == [2, 1]


def test_several_pairs_are_one_group_of_updates(desk: Desk, top: Any) -> None:
    batches: list[set[str]] = []
    top.addBatchListener(lambda batch: batches.append(set(batch)))
    desk("set", pairs=[[B + "Int", 3], [B + "Text", "x"]])
    top.waitOnUpdate()
    assert any({B + "Int", B + "Text"} <= batch for batch in batches)


def test_nothing_is_set_when_a_later_path_or_right_is_wrong(desk: Desk, top: Any) -> None:
    for path, value in (
        (B + "Nope", 1),
        (B + "Fixed", 1),
        (B + "Delicate", 1),
        (B + "File", "/x"),
        (B + "Add", 1),
    ):
        desk.error("set", pairs=[[B + "Int", 500], [path, value]])
        assert top.Bench.Int.value() == 1


def test_a_failing_value_ends_a_set_and_is_named(desk: Desk, top: Any) -> None:
    facts = desk.error("set", pairs=[[B + "Int", 2], [B + "Int", "no"], [B + "Text", "never"]])
    assert facts["type"] == "VariableError"
    assert top.Bench.Int.value() == 2
    assert top.Bench.Text.value() == "abc"


# ---- commands


def test_commands_with_arguments_and_results(desk: Desk) -> None:
    assert desk.call("Add", 41) == 42
    assert desk.call("Add", "0x10") == 17
    assert desk.call("Add") == 17  # the last argument is the default
    assert desk.call("Add", 1, disp=True) == "2"
    assert desk.call("Echo", [1, {"a": (2, b"x")}]) == [1, {"a": (2, b"x")}]


def test_only_commands_can_be_called_and_only_variables_set(desk: Desk) -> None:
    assert desk.error("call", path=B + "Int")["type"] == "CommandError"
    assert desk.error("call", path="Top.Bench")["type"] == "CommandError"
    assert desk.error("set", pairs=[[B + "Add", 1]])["type"] == "NodeError"
    assert desk.error("get", paths=["Top.Bench"])["type"] == "NodeError"


@pytest.mark.parametrize(
    "path", [B + "_wait", B + "set", B + "Int.set", B + "__class__", "Top.stop", "Top.dataDir"]
)
def test_nothing_but_nodes_can_be_reached(desk: Desk, path: str) -> None:
    for op, request in (
        ("get", {"paths": [path]}),
        ("set", {"pairs": [[path, 1]]}),
        ("call", {"path": path}),
    ):
        assert desk.error(op, **request)["type"] == "UnknownNode"


# ---- errors


def test_unknown_paths_name_the_nearest(desk: Desk) -> None:
    def near(path: str) -> Any:
        return desk.error("get", paths=[path])["near"]

    assert near("Top.Bench.Txt") == ["Top.Bench.Text"]
    assert near("Top.Bnch.Text") == ["Top.Bench.Text"]
    assert near("Top.Bench.text")[0] == "Top.Bench.Text"
    assert near("Tip.Bench.Text") == ["Top.Bench.Text"]
    assert near("Top.delicate")[0] == "Top.Bench.Delicate"
    assert "near" not in desk.error("get", paths=["Top.Bench.qqqqqqqqqqqqq"])


def test_errors_of_the_tree_keep_class_and_facts(desk: Desk, top: Any) -> None:
    top.Bench.problem = BusError("no answer", path="Top.Bench.Reg", address=0x40)
    with pytest.raises(BusError, match="no answer") as caught:
        desk.call("Fail")
    assert caught.value.address == 0x40
    top.Bench.problem = RecorderFault("disk full", file="run.dat")
    with pytest.raises(RecorderFault, match="disk full"):
        desk.call("Fail")


def test_errors_of_user_code_are_server_failures_and_logged(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    facts = desk.error("call", path=B + "Fail")
    assert facts["type"] == "ServerFailure"
    assert facts["text"] == "ValueError: broken"
    assert any(record.name == "sapwood.remote.service" and record.exc_info for record in caplog.records)


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"op": 3},
        {"op": []},
        {"op": "eval"},
        {"op": "get"},
        {"op": "get", "paths": "Top"},
        {"op": "set"},
        {"op": "set", "pairs": [["a"]]},
        {"op": "set", "pairs": ["ab"]},
        {"op": "set", "pairs": {"a": 1}},
        {"op": "get", "paths": [], "index": "1"},
        {"op": "get", "paths": [], "index": True},
        {"op": "subscribe", "paths": "Top"},
        {"op": "subscribe", "paths": [1]},
        {"op": "subscribe", "paths": ["Top"], "limit": 0},
        {"op": "subscribe", "paths": ["Top"], "limit": 10**9},
        {"op": "unsubscribe", "paths": None},
    ],
    ids=str,
)
def test_malformed_requests_are_protocol_errors(desk: Desk, request_: dict[str, Any]) -> None:
    assert desk.service.handle(desk.session, request_)["error"]["type"] == "ProtocolError"


@pytest.mark.parametrize(
    "path", [None, 3, [], {}, "", ".", "Top.", ".Top", "Top..Bench", "x" * 10_000, "a." * 5000]
)
def test_odd_paths_are_unknown_nodes(desk: Desk, path: Any) -> None:
    for op, request in (
        ("get", {"paths": [path]}),
        ("set", {"pairs": [[path, 1]]}),
        ("call", {"path": path}),
    ):
        facts = desk.error(op, **request)
        assert facts["type"] == "UnknownNode"
        assert len(str(facts)) < 2000


# ---- what clients may not see


def test_noserve_does_not_exist(desk: Desk, top: Any) -> None:
    for path in (B + "Secret", "Top.Hidden", "Top.Hidden.Int", "root.Hidden.Int"):
        for op, request in (
            ("get", {"paths": [path]}),
            ("set", {"pairs": [[path, 1]]}),
            ("call", {"path": path}),
            ("tree", {"path": path}),
            ("subscribe", {"paths": [path]}),
        ):
            facts = desk.error(op, **request)
            assert facts["type"] == "UnknownNode"
            assert not any("Secret" in name or "Hidden" in name for name in facts.get("near", ()))
    text = str(desk("tree"))
    assert "Secret" not in text
    assert "Top.Hidden" not in text
    for command in ("GetYamlConfig", "GetYamlState"):
        text = desk("call", path=f"Top.{command}", arg=False)
        assert "Int: 1" in text
        assert "Secret" not in text
        assert "Hidden" not in text
    desk("call", path="Top.SetYamlConfig", arg="Top: {Bench: {Secret: 1, Int: 5}, Hidden: {Int: 9}}")
    assert (top.Bench.Int.value(), top.Bench.Secret.value(), top.Hidden.Int.value()) == (5, 7, 1)


def test_noserve_takes_effect_at_once(desk: Desk, top: Any) -> None:
    desk("subscribe", paths=[B + "Int"])
    top.Bench.Int.addToGroup("NoServe")
    assert desk.error("get", paths=[B + "Int"])["type"] == "UnknownNode"
    top.Bench.Int.set(4)
    top.waitOnUpdate()
    assert desk.session.subscription is not None
    assert desk.session.subscription.take(9, 9) == ([], 0)


def test_file_names_stay_in_the_data_folder(desk: Desk, top: Any) -> None:
    desk.set("File", "run/1.dat")
    assert top.Bench.File.value() == "run/1.dat"
    assert desk.call("Save", "a.yml") == "a.yml"
    for name in ("/tmp/x", "../x", "run/../../x"):  # noqa: S108
        for request in (
            {"op": "set", "pairs": [[B + "File", name]]},
            {"op": "set", "pairs": [[B + "File", name]], "disp": True},
            {"op": "set", "pairs": [[B + "File", name]], "write": False},
            {"op": "call", "path": B + "Save", "arg": name},
            {"op": "call", "path": "Top.SaveConfig", "arg": name},
            {"op": "call", "path": "Top.LoadConfig", "arg": f"ok.yml,{name}"},
            {"op": "call", "path": "Top.RemoteVariableDump", "arg": name},
        ):
            assert desk.service.handle(desk.session, request)["error"]["type"] == "AccessDenied"
    assert top.Bench.File.value() == "run/1.dat"


def test_file_names_in_yaml_text_stay_in_the_data_folder(desk: Desk, top: Any) -> None:
    desk("call", path="Top.SetYamlConfig", arg="Top: {Bench: {File: in.dat}}")
    for text in (
        "Top: {Bench: {File: /x}}",
        "root: {Bench: {Int: 4, File: ../x}}",
        "Top.Bench: {File: /x}",
        "Top: !include /etc/passwd",
    ):
        facts = desk.error("call", path="Top.SetYamlConfig", arg=text)
        assert facts["type"] in ("AccessDenied", "ConfigError")
    assert top.Bench.File.value() == "in.dat"
    assert top.Bench.Int.value() == 1


def test_no_file_name_command_was_forgotten(top: Any) -> None:
    flagged = {node.name for node in top.commands.values() if node.getExtraAttribute("fileName")}
    assert flagged == {"SaveState", "SaveConfig", "LoadConfig", "RemoteVariableDump", "RemoteConfigDump"}


# ---- roles


def test_a_viewer_looks_but_does_not_touch(top: Any) -> None:
    desk = Desk(top, "viewer")
    assert desk.get("Int") == [1]
    desk("subscribe", paths=["Top"])
    for request in ({"op": "set", "pairs": [[B + "Int", 2]]}, {"op": "call", "path": B + "Note", "arg": "x"}):
        facts = desk.service.handle(desk.session, request)["error"]
        assert (facts["type"], facts["expected"], facts["seen"]) == ("AccessDenied", "operator", "viewer")
    assert top.Bench.calls == []
    desk.service.close()


def test_expert_nodes_are_for_experts(top: Any) -> None:
    with pytest.raises(AccessDenied, match="expected expert, seen operator"):
        Desk(top).set("Delicate", 1)
    Desk(top, "expert").set("Delicate", 1)
    assert top.Bench.Delicate.value() == 1


def test_tokens_give_roles(top: Any) -> None:
    service = Service(top, tokens={"t1": "viewer", "t2": Role.operator})
    assert service.login("t1").role is Role.viewer
    assert service.login("t2").role is Role.operator
    for token in (None, "", "t3"):
        with pytest.raises(AccessDenied, match="token"):
            service.login(token)


# ---- the tree


def test_the_tree_describes_every_visible_node(desk: Desk, top: Any) -> None:
    tree = desk("tree")
    assert (tree["kind"], tree["name"]) == ("root", "Top")
    bench = next(node for node in tree["nodes"] if node["name"] == "Bench")
    nodes = {node["name"]: node for node in bench["nodes"]}
    assert [*nodes] == [name for name in top.Bench.nodes if name != "Secret"]
    assert nodes["Int"]["units"] == "mV"
    assert (nodes["Int"]["minimum"], nodes["Int"]["maximum"]) == (0, 1000)
    assert nodes["Mode"]["enum"] == [[0, "Off"], [1, "On"], [2, "Auto"]]
    assert nodes["Add"]["takesArg"] is True
    assert "units" not in nodes["Text"]
    assert desk("tree", path=B + "Int") == nodes["Int"]


def test_hello_tells_who_is_there(desk: Desk) -> None:
    facts = desk("hello")
    assert (facts["root"], facts["role"], facts["protocol"]) == ("Top", "operator", 1)
    assert desk("hello")["server"] == facts["server"]


# ---- subscriptions


def subscribed(desk: Desk, *paths: str) -> set[str]:
    desk("subscribe", paths=list(paths))
    found = set(desk.service._watchers._sessions)
    desk("unsubscribe", paths=list(paths))
    assert not desk.service._watchers._sessions
    return found


def test_devices_and_wildcards_mean_all_below(desk: Desk) -> None:
    assert subscribed(desk, B + "Ch[*]") == {B + f"Ch[{number}]" for number in range(3)}
    assert subscribed(desk, B + "*ext", "root.Bench.I*t") == {B + "Text", B + "Int"}
    everything = subscribed(desk, "Top")
    assert B + "Int" in everything
    assert "Top.Time" in everything
    assert not any("Secret" in path or "Hidden" in path for path in everything)
    assert subscribed(desk, "Top.*") == everything
    assert desk.error("subscribe", paths=[B + "Zz*"])["type"] == "UnknownNode"


def test_overlapping_subscriptions_deliver_once_and_end_separately(desk: Desk, top: Any) -> None:
    desk("subscribe", paths=["Top.Bench"])
    desk("subscribe", paths=[B + "Int", B + "Int"])
    desk("unsubscribe", paths=["Top.Bench"])
    top.Bench.Int.set(3)
    top.Bench.Text.set("not wanted any more")
    top.waitOnUpdate()
    assert desk.session.subscription is not None
    batches, lost = desk.session.subscription.take(100, 2**20)
    assert [[*batch] for batch in batches] == [[B + "Int"]]
    assert lost == 0


def test_current_values_on_request(desk: Desk) -> None:
    desk("subscribe", paths=[B + "Int", B + "Double"], now=True)
    assert desk.session.subscription is not None
    (batch,), _ = desk.session.subscription.take(100, 2**20)
    assert {path: item.value for path, item in batch.items()} == {B + "Int": 1, B + "Double": 2}


def test_a_subscription_with_an_unknown_path_subscribes_nothing(desk: Desk) -> None:
    desk.error("subscribe", paths=[B + "Int", B + "Nope"])
    assert not desk.service._watchers._sessions


def test_logout_forgets(desk: Desk) -> None:
    desk("subscribe", paths=["Top"])
    desk.service.logout(desk.session)
    assert not desk.service._watchers._sessions


# ---- audit


def test_every_change_is_in_the_audit_log(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sapwood.remote.audit")
    desk.set("Int", 5)
    desk.call("Add", 3)
    desk.error("set", pairs=[[B + "Int", "x" * 1000]])
    desk.get("Int")
    lines = [record.getMessage() for record in caplog.records if record.name == "sapwood.remote.audit"]
    assert len(lines) == 3
    assert lines[0].startswith("me#")
    assert "(operator) set Top.Bench.Int 5: ok" in lines[0]
    assert "call Top.Bench.Add 3: ok" in lines[1]
    assert "failed: " in lines[2]


# ---- what may run in the thread that serves all


@pytest.mark.parametrize(
    ("name", "inline"),
    [
        ("Reg", True),
        ("Int", True),
        ("Mode", True),
        ("Flag", True),
        ("Table", True),
        ("Array", True),
        ("Fixed", True),
        ("Any", False),
        ("Double", False),
        ("Gated", False),
        ("enable", False),
        ("Add", False),
    ],
)
def test_only_what_cannot_block_runs_inline(desk: Desk, name: str, inline: bool) -> None:
    plan = desk.service.plan(desk.session, {"op": "get", "paths": [B + name]})
    assert plan[0] is inline


def test_calls_trees_and_long_lists_do_not_run_inline(desk: Desk) -> None:
    for request in (
        {"op": "tree"},
        {"op": "call", "path": B + "Add"},
        {"op": "subscribe", "paths": ["Top"], "now": True},
        {"op": "get", "paths": [B + "Int"] * 1000},
        {"op": "get", "paths": [B + "Int", B + "Any"]},
        {"op": "get", "paths": [B + "Unknown"]},
    ):
        assert desk.service.plan(desk.session, request)[0] is False
