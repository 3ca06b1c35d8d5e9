"""People: one of each name."""

from engine.store import Store
from engine.store.user_records import PersonRow

from .making import NOW


def person(id: str, name: str, uid: str = "u1") -> PersonRow:
    return PersonRow(uid=uid, id=id, name=name, created_at=NOW, updated_at=NOW)


async def test_whoever_is_there_by_name_is_found_and_not_made_again(store: Store) -> None:
    assert await store.people.find_or_add(person("p1", "Ann")) == person("p1", "Ann")
    assert await store.people.find_or_add(person("p2", "Ann")) == person("p1", "Ann")
    assert await store.people.find_or_add(person("p2", "Ann", uid="u2")) == person("p2", "Ann", uid="u2")
    assert await store.people.names("u1") == {"p1": "Ann"}
