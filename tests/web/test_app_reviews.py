"""What users say of apps."""

from pathlib import Path
from typing import Any

from tests.web.apps import MAKER, make
from tests.web.serving import Site, site

GOOD = {"score": 5, "review": "Good.", "username": "Al", "rated_at": "2026-11-21T20:18:00Z", "uid": "x"}


async def say(served: Site, id: str, uid: str = "alice", **said: Any) -> int:
    body = {**GOOD, **said}
    answer = await served.request("POST", "/v1/apps/review", uid=uid, params={"app_id": id}, json=body)
    return answer.status_code


async def test_a_review_is_read_by_all_under_its_users_chosen_name(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        id = await make(served)
        assert await say(served, id) == 200
        assert await say(served, id, "bob", score=2, review="Hm.", username=None) == 200
        others = (await served.get(f"/v1/apps/{id}/reviews", uid="carol")).json()
        assert [(one["score"], one["review"], one["username"]) for one in others] == [
            (2.0, "Hm.", ""),
            (5.0, "Good.", "Al"),
        ]
        assert not {"alice", "bob"} & {one["uid"] for one in others}
        app = (await served.get(f"/v1/apps/{id}")).json()
        assert (app["rating_avg"], app["rating_count"]) == (3.5, 2)
        assert app["user_review"]["uid"] == "alice"
        assert [one["uid"] == "alice" for one in app["reviews"]] == [False, True]


async def test_each_user_has_one_review_and_may_change_it(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        id = await make(served)
        path = f"/v1/apps/{id}/review"
        assert (await served.request("PATCH", path, json=GOOD)).status_code == 404
        assert await say(served, id) == 200
        assert await say(served, id, score=1) == 200
        changed = {"score": 3, "review": "Better."}
        assert (await served.request("PATCH", path, json=changed)).status_code == 200
        (one,) = (await served.get(f"/v1/apps/{id}/reviews")).json()
        assert (one["score"], one["review"], one["username"]) == (3.0, "Better.", "Al")
        assert one["updated_at"] is not None


async def test_nobody_reviews_their_own_app_or_one_that_they_do_not_see(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        id, own = await make(served), await make(served, private=True)
        assert await say(served, id, MAKER) == 403
        assert await say(served, own) == 404
        assert await say(served, "none") == 404
        for score in (-1, 5.5):
            assert await say(served, id, score=score) == 422


async def test_the_apps_owner_answers_a_review(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        id = await make(served)
        await say(served, id)
        (one,) = (await served.get(f"/v1/apps/{id}/reviews", uid=MAKER)).json()
        path, reply = f"/v1/apps/{id}/review/reply", {"reviewer_uid": one["uid"], "response": "Thanks."}
        assert (await served.request("PATCH", path, json=reply)).status_code == 403
        unknown = {**reply, "reviewer_uid": "alice"}
        assert (await served.request("PATCH", path, uid=MAKER, json=unknown)).status_code == 404
        assert (await served.request("PATCH", path, uid=MAKER, json=reply)).status_code == 200
        (one,) = (await served.get(f"/v1/apps/{id}/reviews")).json()
        assert one["response"] == "Thanks."
        assert one["responded_at"] is not None
