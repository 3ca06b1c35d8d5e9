"""Words that tell what a conversation is about and how it felt."""

from engine.conversation.extract._english import grouped, words

EMOJI = {
    "personal": "🙂", "education": "🎓", "health": "🩺", "finance": "💰", "legal": "⚖️", "philosophy": "🤔",
    "spiritual": "🙏", "science": "🔬", "entrepreneurship": "🚀", "parenting": "👶", "romantic": "❤️", "travel": "✈️",
    "inspiration": "💡", "technology": "💻", "business": "💼", "social": "🎉", "work": "🏢", "sports": "🏃",
    "politics": "🏛️", "literature": "📚", "history": "🏺", "architecture": "🏗️", "music": "🎵", "weather": "🌦️",
    "news": "📰", "entertainment": "🎬", "psychology": "🧩", "real": "🏠", "design": "🎨", "family": "👪",
    "economics": "📈", "environment": "🌱", "other": "🧠",
}  # fmt: skip


CATEGORY_WORDS = grouped("categories")

EMOTION_WORDS = grouped("emotions")

EVENT_NOUNS = words("event_nouns")
