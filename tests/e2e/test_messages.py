"""Messages on a real cluster, as `make demo` shows them: from Ocean into the chart, also while the EMR was away."""

from __future__ import annotations

from ocean_dev import demo_messages


def test_a_questionnaire_comes_into_the_chart_and_another_waits_for_the_emr(shown: str) -> None:
    """The demo itself fails when a note is there twice."""
    told = shown.partition("the note in the chart of patient")[2]

    assert told.count("The patient says: the cough is gone (") == 1
    assert told.count("The patient says: the cough is back (") == 1
    assert told.index("is gone") < told.index("it waits in the queue") < told.index("is back")
    assert f'ocean_messages_waiting{{name="{demo_messages.CLINIC}"' in told
