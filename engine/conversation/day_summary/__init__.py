"""What a user's day was like: when a day is summarised, what the summary says, and who writes it. `webhooks` and `web`
may come in.
"""

from engine.conversation.day_summary.days import Occasion, day_at, day_bounds, occasions
from engine.conversation.day_summary.document import DaySummary
from engine.conversation.day_summary.material import Day
from engine.conversation.day_summary.summarizer import Summarizer, summary_id

__all__ = [
    "Day",
    "DaySummary",
    "Occasion",
    "Summarizer",
    "day_at",
    "day_bounds",
    "occasions",
    "summary_id",
]
