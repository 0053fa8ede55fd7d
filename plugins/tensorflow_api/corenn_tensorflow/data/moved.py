"""Methods of ``Dataset`` that began as functions of ``tf.data.experimental``."""

from __future__ import annotations

from typing import Any


class Moved:
    """Part of ``Dataset``."""

    def _by(self, name: str, *args: Any, **options: Any) -> Any:
        from corenn_tensorflow.data import experimental

        return getattr(experimental, name)(*args, **options)(self)

    def bucket_by_sequence_length(self, element_length_func: Any, *args: Any, **options: Any) -> Any:
        """Batches of elements of about one length."""
        options.pop("name", None)
        return self._by("bucket_by_sequence_length", element_length_func, *args, **options)

    def group_by_window(
        self, key_func: Any, reduce_func: Any, window_size: Any = None, window_size_func: Any = None, name: Any = None
    ) -> Any:
        """Groups of elements with one key, each made into a dataset by ``reduce_func(key, dataset)``."""
        return self._by("group_by_window", key_func, reduce_func, window_size, window_size_func)

    def unique(self, name: str | None = None) -> Any:
        """Each value once."""
        return self._by("unique")

    def rejection_resample(
        self, class_func: Any, target_dist: Any, initial_dist: Any = None, seed: Any = None, name: str | None = None
    ) -> Any:
        """Pairs of class and element, some left out so that the classes are as frequent as ``target_dist`` says."""
        return self._by("rejection_resample", class_func, target_dist, initial_dist, seed)

    def get_single_element(self, name: str | None = None) -> Any:
        """The only element, as tensors."""
        from corenn_tensorflow.data import experimental

        return experimental.get_single_element(self)

    def snapshot(self, path: Any, *args: Any, **options: Any) -> Any:
        """The same elements, kept in memory rather than in files."""
        return self.cache()  # type: ignore[attr-defined]  # a Dataset's

    @staticmethod
    def random(seed: Any = None, rerandomize_each_iteration: Any = None, name: str | None = None) -> Any:
        """Random int64 numbers without end."""
        from corenn_tensorflow.data import experimental

        return experimental.RandomDataset(seed)

    @staticmethod
    def sample_from_datasets(
        datasets: Any, weights: Any = None, seed: Any = None, stop_on_empty_dataset: bool = False, **ignored: Any
    ) -> Any:
        """Elements of several datasets, each next one's dataset drawn at random."""
        from corenn_tensorflow.data import experimental

        return experimental.sample_from_datasets(datasets, weights, seed, stop_on_empty_dataset)

    @staticmethod
    def choose_from_datasets(datasets: Any, choice_dataset: Any, stop_on_empty_dataset: bool = True) -> Any:
        """Elements of several datasets, as the numbers in ``choice_dataset`` say."""
        from corenn_tensorflow.data import experimental

        return experimental.choose_from_datasets(datasets, choice_dataset, stop_on_empty_dataset)


__all__ = ["Moved"]
