import inspect
import subprocess
import sys

import pytest
from corenn_datasets.plugin import corenn_datasets

from corenn.plugin import DatasetRecord, registry

RECORDS = {record.name: record for record in corenn_datasets()}


def test_names() -> None:
    assert set(RECORDS) == {
        *("digits", "mnist", "fashion_mnist", "cifar10", "cifar100", "cats_vs_dogs"),
        *("boston_housing", "california_housing", "text"),
        *("blobs", "spiral", "sine"),
    }


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_factories_exist_and_share_one_signature(record: DatasetRecord) -> None:
    parameters = inspect.signature(record.load()).parameters
    assert next(iter(parameters)) == "data_dir" and parameters["data_dir"].default is None
    assert parameters["progress"].default is None
    assert all(p.kind is p.KEYWORD_ONLY for name, p in parameters.items() if name != "data_dir")


@pytest.mark.parametrize("record", [r for r in RECORDS.values() if r.offline], ids=lambda r: r.name)
def test_offline_sets_load_without_files_or_network(record: DatasetRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.socket.connect", None)
    splits = record.load()()
    assert splits.name == record.name and len(splits.test.x)


def test_the_loader_finds_them() -> None:
    assert set(RECORDS) <= set(registry.datasets())
    assert registry.get("dataset", "fashion-mnist").name == "fashion_mnist"


def test_listing_imports_no_data_set() -> None:
    code = (
        "import sys, corenn_datasets.plugin as p; p.corenn_datasets();"
        "print([m for m in sys.modules if m.startswith('corenn_datasets.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['corenn_datasets.plugin']"
