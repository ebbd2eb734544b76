"""What only a broker can show.

The traps of Faust, aiokafka and Stanza that were measured before the first line, and where each is
kept shut:

1. An exception that leaves an agent loses the message: ``test_a_fault_of_ours_loses_nothing``.
2. Concurrent actors commit past unfinished work and lose order: ``test_codes_in_order``, and
   ``tests/test_app.py``.
3. "exactly_once" is not: ``tests/test_app.py``; ids make repetition harmless:
   ``test_replaying_changes_nothing``, ``test_kill_twenty_times``.
4. ``await topic.send()`` is no delivery: ``test_produce_refused_for_a_while``,
   ``test_giving_up_on_produce_loses_nothing``, ``tests/test_delivery.py``.
5. A rebalance repeats what was acknowledged since the last commit: ``test_rebalance_under_load``.
6. Poison bytes crash an agent that lets Faust decode: ``test_bad_input_is_dead_lettered``.
7. Work on the event loop is a healthy-looking zombie:
   ``test_a_busy_stage_does_not_freeze_the_loop``,
   ``test_not_ready_until_models_and_partitions``, ``tests/test_health.py``.
8. An unacknowledged message, or a group that is still joining, hangs SIGTERM:
   ``test_sigterm_does_not_wait_for_a_hung_stage``.
9. Topics that a worker declares have the wrong partitions: ``test_missing_topics_are_not_created``,
   ``test_wrong_partition_count_is_said_at_start``. Large buffers: ``test_memory_stays_bounded``.
"""
