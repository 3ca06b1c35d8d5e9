"""/v1/users/people."""

from pathlib import Path

from .serving import site

PATH = "/v1/users/people"


async def test_a_person_is_made_once_per_name_renamed_and_forgotten(tmp_path: Path) -> None:
    async with site(tmp_path) as running:
        made = await running.request("POST", PATH, json={"name": " Ann "})
        person = made.json()
        assert made.status_code == 200
        assert set(person) == {"id", "name", "created_at", "updated_at", "speech_samples"}
        assert (person["name"], person["speech_samples"]) == ("Ann", [])
        assert (await running.request("POST", PATH, json={"name": "Ann"})).json() == person
        assert (await running.get(PATH, include_speech_samples="true")).json() == [person]
        one = f"{PATH}/{person['id']}"
        assert (await running.request("PATCH", f"{one}/name", params={"value": "Anna"})).status_code == 200
        assert (await running.get(one)).json()["name"] == "Anna"
        assert (await running.request("DELETE", one)).status_code == 204
        assert (await running.get(one)).status_code == 404


async def test_nobody_else_knows_them_and_mistakes_are_named(tmp_path: Path) -> None:
    async with site(tmp_path) as running:
        theirs = (await running.request("POST", PATH, "bob", json={"name": "Ann"})).json()
        assert (await running.get(PATH)).json() == []
        one = f"{PATH}/{theirs['id']}"
        for method, path in (("GET", one), ("PATCH", f"{one}/name?value=x"), ("DELETE", one)):
            answer = await running.request(method, path)
            assert (answer.status_code, answer.json()) == (404, {"detail": "Person not found"})
        assert (await running.get(one, "bob")).json() == theirs
        assert "name" in (await running.request("POST", PATH, json={"name": " "})).json()["detail"]
