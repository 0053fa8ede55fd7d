"""Devices as the current one: blocks nest, and threads do not see one another's."""

from __future__ import annotations

import threading

import corenn


def test_blocks_of_one_device_nest():
    numpy = corenn.device("numpy")
    with numpy, numpy:
        with numpy:
            assert corenn.ones(2).device is numpy
        assert corenn.ones(2).device is numpy


def test_one_device_is_entered_by_several_threads_at_a_time():
    numpy, meet, failed = corenn.device("numpy"), threading.Barrier(2, timeout=600), []

    def work(leaves_first):
        try:
            with numpy:
                meet.wait()
                if not leaves_first:
                    meet.wait()
            if leaves_first:
                meet.wait()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(first,)) for first in (True, False)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
