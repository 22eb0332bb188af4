"""A stream of requests: every line answered, in order; a bad line is a row and stops nothing."""

from __future__ import annotations

import io
import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jsonschema
import psutil
import pytest

import advisor
from advisor.batch import local
from advisor.batch.engines import InProcess
from advisor.batch.lines import read_lines
from advisor.batch.rows import Row, Settings
from advisor.batch.stream import Done, answer_all
from advisor.batch.tasks import Task, TaskReader
from advisor.errors import KnowledgeError, UsageError
from advisor.located import MAX_BYTES
from tests.batch.requests import GOOD, without_times

RULES_ONLY = Settings("none")


def encoded(*lines: object) -> io.BytesIO:
    return io.BytesIO(b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines))


def rows(*lines: object) -> list[dict[str, Any]]:
    tasks = TaskReader().from_lines(read_lines(encoded(*lines)))
    return [row.content for row in answer_all(tasks, InProcess(RULES_ONLY, None))]


def test_answers_come_in_order_with_their_ids_as_given_and_lines() -> None:
    answered = rows({"id": "b", "request": GOOD}, {"id": 7, "request": GOOD})
    assert [(row["id"], row["line"], row["status"]) for row in answered] == [("b", 1, "designed"), (7, 2, "designed")]


def test_a_report_in_a_row_is_the_wire_form(report_schema: dict[str, Any]) -> None:
    jsonschema.validate(rows({"id": 1, "request": GOOD})[0]["report"], report_schema)


def test_every_row_is_as_its_schema_says(row_schema: dict[str, Any]) -> None:
    for row in rows({"id": 1, "request": GOOD}, {"id": 1, "request": GOOD}, b"{not json", {"task": {}}, GOOD, {"id": "x", "request": 7}):
        jsonschema.validate(row, row_schema)
        assert not jsonschema.Draft202012Validator(row_schema).is_valid({**row, "status": "error" if "report" in row else "designed"})


def test_a_bare_request_is_accepted_and_named_by_its_content() -> None:
    first, again, other = rows(GOOD, GOOD, {**GOOD, "challenges": ["few-shot"]})
    assert first["id"] == again["id"] != other["id"]
    assert first["status"] == again["status"] == "designed"


@pytest.mark.parametrize(
    ("line", "code", "path"),
    [
        (b"{not json", "bad_json", ""),
        (b"\xff\xfe", "bad_encoding", ""),
        (b"[1, 2]", "bad_request", ""),
        (b'{"id": "x", "request": {"task": {"type": "classification", "domain": "CV", "kind": 1}}}', "bad_request", "task.kind"),
        (b'{"id": true, "request": {}}', "bad_request", "id"),
        (b'{"id": 1.5, "request": {}}', "bad_request", "id"),
        (b'{"id": "x", "request": 7}', "bad_request", "request"),
        (b'{"id": "x", "request": {}, "extra": 1}', "bad_request", "extra"),
        (b'{"id": "x", "id": "y", "request": {}}', "bad_json", ""),
        (b'{"id": "x", "request": ' + b'{"a":' * 3000 + b"1" + b"}" * 3001, "bad_json", ""),
        (b"[" * 200 + b"]" * 200, "bad_json", ""),
        (b"[" * 1_000_000, "bad_json", ""),
        (b'{"id": ' + b"9" * 10_000 + b', "request": {}}', "bad_json", ""),
        (b'{"task": {"type": "\\ud800", "domain": "CV"}}', "bad_json", ""),
        (b'{"task": {"type": "classification", "domain": "CV"}, "data": {"size": NaN}}', "bad_json", ""),
        (b"x" * (MAX_BYTES + 1), "too_large", ""),
    ],
)
def test_a_bad_line_is_an_error_row_with_code_and_path_and_stops_nothing(line: bytes, code: str, path: str) -> None:
    before, bad, after = rows({"id": 1, "request": GOOD}, line, {"id": 2, "request": GOOD})
    assert (before["status"], after["status"]) == ("designed", "designed")
    assert bad["status"] == "error" and bad["line"] == 2
    assert bad["error"]["code"] == code and bad["error"]["path"] == path
    assert bad["error"]["message"]


def test_an_id_without_a_request_is_told_how_a_line_is_written() -> None:
    (row,) = rows({"id": "a"})
    assert (row["id"], row["error"]["path"]) == ("a", "request") and '"request": {' in row["error"]["message"]


def test_of_several_faults_each_is_told_with_its_place() -> None:
    request = {"task": {"type": "classification", "domain": "CV"}, "data": {"size": "lots"}, "constraints": {"budget": "200"}}
    (row,) = rows(request)
    assert row["error"]["path"] == "data.size" and "constraints.budget: " in row["error"]["message"]


def test_an_explicit_id_may_stand_only_once() -> None:
    first, second, third = rows({"id": "1", "request": GOOD}, {"id": "1", "request": GOOD}, {"id": 1, "request": GOOD})
    assert (first["status"], second["error"]["code"], third["status"]) == ("designed", "duplicate_id", "designed")


def test_blank_lines_are_no_rows_and_a_byte_order_mark_is_no_part_of_the_first() -> None:
    assert [row["line"] for row in rows(b"\xef\xbb\xbf" + json.dumps(GOOD).encode(), b"\r", b"   ", GOOD)] == [1, 4]


def test_a_file_of_nothing_but_a_byte_order_mark_has_no_rows() -> None:
    assert rows(b"\xef\xbb\xbf") == rows(b"\xef\xbb\xbf\r\n") == []


@pytest.mark.parametrize(
    ("request_", "path"),
    [
        ({f"k{n}": 1 for n in range(100_000)}, ""),
        ({**GOOD, "facts": {f"data.c{n}": 1 for n in range(100_000)}}, "facts"),
        ({**GOOD, "challenges": [1] * 1_000_000}, "challenges"),
        ({**GOOD, "task": {**GOOD["task"], "specificTask": "5x " * 1_000_000}}, "task.specificTask"),
        ({**GOOD, "existingSetup": {"trainingIssues": ["a-" * 1_000_000]}}, "existingSetup.trainingIssues"),
    ],
)
def test_a_request_as_long_as_a_line_may_be_is_refused_in_moments_and_few_words(request_: dict[str, Any], path: str) -> None:
    started = time.process_time()
    (row,) = rows(request_)
    assert row["error"]["code"] == "bad_request" and row["error"]["path"] == path
    assert len(row["error"]["message"]) < 1000
    assert time.process_time() - started < 10  # it took minutes


def test_of_very_many_faults_the_first_are_told_and_the_others_counted() -> None:
    (row,) = rows({**GOOD, "facts": {f"data.c{n}": 1 for n in range(500)}})
    assert row["error"]["path"] == "facts.data.c0" and row["error"]["message"].endswith("; and 480 more")


def test_a_row_is_one_line_for_every_reader_whatever_the_request_holds() -> None:
    odd = {**GOOD, "challenges": ["a\u2028b\u0085c\x1cd"]}
    (row,) = answer_all(TaskReader().from_requests([odd]), InProcess(RULES_ONLY, None))
    assert row.status == "designed" and len(row.data.decode().splitlines()) == 1


def test_a_line_of_a_hundred_megabytes_is_never_held(tmp_path: Path) -> None:
    path = tmp_path / "in"
    with path.open("wb") as file:
        for _ in range(100):
            file.write(b"x" * 1_000_000)
        file.write(b"\n" + json.dumps(GOOD).encode())
    before = psutil.Process().memory_info().rss
    with path.open("rb") as file:
        long, short = read_lines(file)
    assert long.content is None and short.number == 2 and short.end == path.stat().st_size
    assert psutil.Process().memory_info().rss - before < 30_000_000


def test_ids_are_kept_out_of_memory() -> None:
    reader, request = TaskReader(), {"task": {}}
    next(reader.from_requests([{"id": "first", "request": request}]))
    before = psutil.Process().memory_info().rss
    assert all(task.fault is None for task in reader.from_requests({"id": n, "request": request} for n in range(100_000)))
    assert psutil.Process().memory_info().rss - before < 6_000_000


def test_a_full_folder_for_temporary_files_is_said_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = TaskReader()
    reader._ids.execute("pragma max_page_count = 2")  # as if no more could be written
    with pytest.raises(UsageError, match=r"temporary files cannot be written: .* is full; TMPDIR"):
        list(reader.from_requests({"id": n, "request": GOOD} for n in range(10_000)))


def test_a_faulty_pack_stops_the_batch_before_the_first_row(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("slot: nothing\nrules: []\n", encoding="utf-8")
    with pytest.raises(KnowledgeError):
        next(advisor.design_many([GOOD], "none", rules=[tmp_path]))


@pytest.mark.parametrize(
    ("options", "words"), [({"jobs": 0}, "--jobs 0"), ({"engine": "spark"}, "local, ray"), ({"verify": "deep"}, "none, static, smoke")]
)
def test_what_no_engine_can_do_is_an_error(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        next(advisor.design_many([GOOD], **{"verify": "none", **options}))


def test_a_single_folder_of_rules_is_not_read_letter_by_letter() -> None:
    with pytest.raises(KnowledgeError, match="/nowhere: no such folder"):
        next(advisor.design_many([GOOD], "none", rules="/nowhere"))


def test_a_request_may_be_an_object_or_another_mapping_also_beside_its_id() -> None:
    made = advisor.Request.model_validate(GOOD)
    found = list(
        advisor.design_many([made, {"id": 5, "request": made}, MappingProxyType({"id": 6, "request": MappingProxyType(GOOD)})], "none")
    )
    assert [(row.status, row.id) for row in found[1:]] == [("designed", 5), ("designed", 6)]
    assert found[0].status == "designed"


def test_what_is_no_json_is_an_error_row() -> None:
    (row,) = advisor.design_many([{"request": {"task": {1, 2}}}], "none")
    assert row.error is not None and (row.error.code, "set is not JSON" in row.error.message) == ("bad_request", True)


# --- the window ------------------------------------------------------------------------------------------------------


class Backwards:
    """An engine that finishes a full window's last task first."""

    window = 4

    def __init__(self) -> None:
        self.under_way: list[tuple[Task, Done]] = []
        self.most = 0

    def submit(self, task: Task, done: Done) -> None:
        self.under_way.append((task, done))
        self.most = max(self.most, len(self.under_way))
        if len(self.under_way) == self.window:
            for known, finish in reversed(self.under_way):
                finish(Row(known.line, "designed", "{}"))
            self.under_way.clear()

    def counts(self) -> None:
        return None


def tasks(count: int, taken: list[int] | None = None) -> Iterator[Task]:
    for line in range(1, count + 1):
        if taken is not None:
            taken.append(line)
        yield Task(line, "", line, {})


def test_rows_come_in_order_or_as_they_are_done() -> None:
    assert [row.line for row in answer_all(tasks(8), Backwards())] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [row.line for row in answer_all(tasks(8), Backwards(), ordered=False)] == [4, 3, 2, 1, 8, 7, 6, 5]


def test_no_more_is_taken_than_the_window_holds() -> None:
    taken: list[int] = []
    answered = answer_all(tasks(40, taken), Backwards())
    next(answered)
    time.sleep(0.2)
    assert len(taken) <= 4 + 1
    answered.close()


def test_a_row_does_not_wait_for_the_next_request_to_come() -> None:
    come = threading.Event()

    def slowly() -> Iterator[dict[str, Any]]:
        yield GOOD
        assert come.wait(30)
        yield GOOD

    answered = advisor.design_many(slowly(), "none", jobs=2)
    assert next(answered).line == 1
    come.set()
    assert next(answered).line == 2
    assert list(answered) == []


def test_an_input_that_breaks_off_is_raised_after_the_rows_before_it() -> None:
    def broken() -> Iterator[Task]:
        yield from tasks(4)
        raise OSError("gone")

    answered = answer_all(broken(), Backwards())
    assert [next(answered).line for _ in range(4)] == [1, 2, 3, 4]
    with pytest.raises(OSError, match="gone"):
        next(answered)


# --- several processes -----------------------------------------------------------------------------------------------


def test_two_jobs_give_the_rows_of_one() -> None:
    requests: list[Any] = [{"id": n, "request": {**GOOD, "data": {"size": f"{1000 + n} images"}}} for n in range(20)]
    requests[7] = {"id": 3, "request": GOOD}
    one, two = (list(map(without_times, advisor.design_many(requests, "none", jobs=jobs))) for jobs in (1, 2))
    assert one == two
    assert one[7]["error"]["code"] == "duplicate_id"


def test_a_task_that_kills_its_worker_is_an_error_and_the_others_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "COMMAND", (sys.executable, str(Path(__file__).with_name("dying_worker.py"))))
    requests = [{"id": "deadly" if n == 3 else n, "request": GOOD} for n in range(1, 7)]
    found = {row.line: (row.status, row.error) for row in advisor.design_many(requests, "none", jobs=2)}
    _, error = found.pop(3)
    assert error is not None and error.code == "worker_lost" and "ended 2 times (status -9)" in error.message
    assert set(found.values()) == {("designed", None)}


def test_the_loss_of_all_workers_and_of_what_forks_them_costs_no_row() -> None:
    answered = advisor.design_many([GOOD] * 40, "none", jobs=2)
    statuses = [next(answered).status]
    for process in psutil.Process().children(recursive=True):
        if "advisor.batch.worker" in process.cmdline():
            process.kill()
    statuses += [row.status for row in answered]
    assert statuses == ["designed"] * 40


def test_workers_end_with_their_batch() -> None:
    answered = advisor.design_many([GOOD] * 50, "none", jobs=2)
    next(answered)
    workers = [child for child in psutil.Process().children(recursive=True) if "advisor.batch.worker" in child.cmdline()]
    assert len(workers) == 3  # two, and the one that forks them
    answered.close()
    assert not any(worker.is_running() for worker in workers)
