"""/v1/users: what the user has set."""

from pathlib import Path

import pytest

from engine.store.database import wall_clock

from .serving import site


async def test_name_and_time_zone_are_set_one_by_one(tmp_path: Path) -> None:
    async with site(tmp_path) as running:
        profile = {"uid": "alice", "name": "", "email": None, "language": "", "time_zone": "UTC"}
        assert (await running.get("/v1/users/profile")).json() == profile
        for change in ({"name": "Alice"}, {"time_zone": "Europe/Berlin"}, {}):
            profile |= change
            answer = await running.request("PATCH", "/v1/users/profile", json=change)
            assert (answer.status_code, answer.json()) == (200, profile)
        assert (await running.get("/v1/users/profile", "bob")).json()["name"] == ""


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "/etc/passwd", "Europe", "a\\b", "é"])
async def test_a_time_zone_that_does_not_exist_is_refused(tmp_path: Path, zone: str) -> None:
    async with site(tmp_path) as running:
        answer = await running.request("PATCH", "/v1/users/profile", json={"time_zone": zone})
        assert answer.status_code == 422
        assert "time_zone=" in answer.json()["detail"]
        assert (await running.get("/v1/users/profile")).json()["time_zone"] == "UTC"


async def test_the_language_is_a_tag(tmp_path: Path) -> None:
    async with site(tmp_path) as running:
        answer = await running.request("PATCH", "/v1/users/language", json={"language": "pt-BR"})
        assert answer.json() == {"status": "ok", "single_language_mode": False}
        assert (await running.get("/v1/users/language")).json() == {"language": "pt-BR"}
        for wrong in ("", "not a tag", "x" * 40):
            answer = await running.request("PATCH", "/v1/users/language", json={"language": wrong})
            assert answer.status_code == 422


async def test_words_are_kept_once_and_blank_ones_not_at_all(tmp_path: Path) -> None:
    path = "/v1/users/transcription-preferences"
    async with site(tmp_path) as running:
        body = {"vocabulary": ["Omi", " ", "Based Hardware ", "Omi"], "single_language_mode": True}
        assert (await running.request("PATCH", path, json=body)).json() == {"status": "ok"}
        assert (await running.get(path)).json() == {
            "single_language_mode": True,
            "vocabulary": ["Omi", "Based Hardware"],
            "language": "",
            "uses_custom_stt": False,
        }
        await running.request("PATCH", path, json={"single_language_mode": False})
        assert (await running.get(path)).json()["vocabulary"] == ["Omi", "Based Hardware"]
        too_many = {"vocabulary": [str(n) for n in range(101)]}
        assert (await running.request("PATCH", path, json=too_many)).status_code == 422


async def test_a_place_is_on_earth(tmp_path: Path) -> None:
    async with site(tmp_path) as running:
        place = {"latitude": 52.5, "longitude": 13.4, "address": "Berlin"}
        assert (await running.request("PATCH", "/v1/users/geolocation", json=place)).status_code == 200
        kept = (await running.store.users.get("alice")).geolocation
        assert kept is not None
        assert kept | {"at": 0} == place | {"google_place_id": None, "location_type": None, "at": 0}
        assert abs(kept["at"] - wall_clock()) < 600_000_000
        wrong = place | {"latitude": 91}
        assert (await running.request("PATCH", "/v1/users/geolocation", json=wrong)).status_code == 422


async def test_permissions_are_off_until_they_are_given(tmp_path: Path) -> None:
    sync, recording = "/v1/users/private-cloud-sync", "/v1/users/store-recording-permission"
    async with site(tmp_path) as running:
        for path, name in (
            (sync, "private_cloud_sync_enabled"),
            (recording, "store_recording_permission"),
        ):
            assert (await running.get(path)).json() == {name: False}
            await running.request("POST", path, params={"value": "true"})
            assert (await running.get(path)).json() == {name: True}
            assert (await running.get(path, "bob")).json() == {name: False}
            assert (await running.request("POST", path)).status_code == 422
        await running.request("DELETE", recording)
        assert (await running.get(recording)).json() == {"store_recording_permission": False}
