"""An installation for the tests of the language: what exists there, and its policy."""

from __future__ import annotations

import pytest

from engine.journey.catalog import Names
from engine.settings import Policy, Purpose, Topic


@pytest.fixture(scope="session")
def names() -> Names:
    """A shop in zh-CN that also writes English and German."""
    complete = frozenset({"zh-CN", "en", "de"})
    return Names(
        traits=frozenset({"churn_stage", "churn_reason", "value_tier", "orders_12m", "spend_12m", "complaints_180d"}),
        segments=frozenset({"silent", "vip", "vip_at_risk"}),
        lists=frozenset({"rivals"}),
        pools=frozenset({"second_order", "come_back", "vip_pack"}),
        channels=frozenset({"email", "sms", "push", "wechat"}),
        topics=frozenset({"care", "offers", "receipts"}),
        queues=frozenset({"care", "concierge", "concierge_lead"}),
        webhooks=frozenset({"crm"}),
        people={"care": ("lin", "emma"), "concierge": ("mei", "jonas"), "concierge_lead": ()},
        happenings=frozenset({"Rival Sale"}),
        messages={
            "thanks": frozenset({"email", "sms", "push"}),
            "letter": frozenset({"email"}),
            "english_only": frozenset({"email"}),
            "no_german": frozenset({"email"}),
        },
        locales={
            **{("thanks", channel): complete for channel in ("email", "sms", "push")},
            ("letter", "email"): frozenset({"zh", "en-GB", "de"}),
            ("english_only", "email"): frozenset({"en", "de"}),
            ("no_german", "email"): frozenset({"zh-CN", "en"}),
        },
        briefs=frozenset({"call"}),
        default_locale="zh-CN",
    )


@pytest.fixture(scope="session")
def policy() -> Policy:
    """Two a day, five a week; SMS and push are quiet from 21:00 to 08:00."""
    return Policy(
        topics={
            "care": Topic(title="Care", purpose=Purpose.marketing),
            "offers": Topic(title="Offers", purpose=Purpose.marketing),
            "receipts": Topic(title="Receipts", purpose=Purpose.transactional),
        }
    )
