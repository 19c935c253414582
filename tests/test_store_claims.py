"""Claims on the units of a folder: one process has each, and the kernel gives back what the dead had."""

import subprocess
import sys
import threading

from store_cases import expected, make, work

from sde_sgd.study import Store
from sde_sgd.study.store._claims import Claims


class TestClaims:
    def test_one_has_it(self, tmp_path):
        study, first = make(tmp_path / "out")
        second = Store.open(first.folder)
        assert first.claim("000-000") and not second.claim("000-000") and not first.claim("000-000")
        assert second.claim("000-001")
        assert first.claimed() == second.bind(study).claimed() == {"000-000", "000-001"}
        first.release("000-000")
        assert second.claim("000-000")
        found = []
        thread = threading.Thread(target=lambda: found.append(first.claim("000-000")))
        thread.start()
        thread.join()
        assert found == [False]
        second.release("000-000")
        assert first.claimed() == {"000-001"} and first.claim("000-000")
        first.release("000-000")
        work(first, study, {"000-000"})
        assert not second.claim("000-000"), "it is finished"

    def test_the_kernel_releases_what_a_killed_process_had(self, tmp_path):
        path = tmp_path / "claims"
        code = f"""
import sys, time
from pathlib import Path
from sde_sgd.study.store._claims import Claims
claims = Claims(Path({str(path)!r}))
print(claims.take("unit"), flush=True)
sys.stdin.readline()
print(claims.take("third"), flush=True)
time.sleep(600)
"""
        command = [sys.executable, "-c", code]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdin is not None and child.stdout is not None and child.stdout.readline() == "True\n"
            claims = Claims(path)
            assert not claims.take("unit") and not claims.take_surely("unit") and claims.take("another")
            with claims.everything() as free:
                assert not free
            # the question takes no claim away, nor leaves one
            assert claims.taken(["unit", "another", "third"]) == {"unit", "another"}
            child.stdin.write("\n")
            child.stdin.flush()
            assert child.stdout.readline() == "True\n" and claims.taken(["third"]) == {"third"}
            claims.release("another")
            child.kill()
        assert claims.take("unit") and claims.holds("unit")
        claims.release("unit")
        with claims.everything() as free:
            assert free and not Claims(path).take("unit")
        assert not claims.holds("unit") and claims.take("unit")
        claims.release("unit")

    def test_where_there_are_no_locks_every_claim_succeeds(self, tmp_path, monkeypatch):
        monkeypatch.setattr("sde_sgd.study.store._claims.fcntl", None)
        study, store = make(tmp_path / "out")
        (store.folder / ".partial" / "left").mkdir()
        assert store.claim("000-000") and Store.open(store.folder).folder == store.folder
        # whose it is cannot be known
        assert Store.open(store.folder).bind(study).claimed() == {"000-000"}, "this process knows of itself"
        assert (store.folder / ".partial" / "left").is_dir()
        work(store, study)
        assert store.dataset().equals(expected(study))

    def test_leftovers_are_removed_unless_somebody_is_alive(self, tmp_path):
        _, store = make(tmp_path / "out")
        dead = [store.folder / ".partial" / "dead", tmp_path / ".out.new-dead"]
        living = [store.folder / ".partial" / "living", tmp_path / ".out.new-living"]
        for path in (*dead, *living):
            path.mkdir()
            (path / "half").write_text("")
        assert store._claims.take(".partial living")
        making = Claims(living[1] / ".claims")
        assert making.take("making")
        Store.open(store.folder)
        assert [path.exists() for path in (*dead, *living)] == [False, False, True, True]
        store._claims.release(".partial living")
        making.release("making")
        Store.open(store.folder)
        assert not any(path.exists() for path in living)
