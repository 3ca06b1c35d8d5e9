"""/v1/conversations/{id}/test-prompt over a real store and a model behind real sockets."""

from pathlib import Path

from engine.store import Store
from engine.testing import LlmFaultPlan, OpenAiStandIn, Reply, Wrong
from tests.conversation.models import asked, wrong
from tests.web.serving import add, row, segment, site

PATH = "/v1/conversations/c1/test-prompt"
BODY = {"prompt": "What was ordered?"}


async def some(store: Store) -> None:
    await add(store, row("c1"), segment("s1", "Three cakes, please."))
    await add(store, row("silent"))
    await add(store, row("locked", is_locked=True), segment("s2", "Secret."))


async def test_a_prompt_is_put_to_what_was_said(tmp_path: Path) -> None:
    async with asked(OpenAiStandIn(lambda request: Reply("Three cakes."))) as model:
        async with site(tmp_path, filled=some) as served:
            served.models.llm = model.llm
            answer = await served.request("POST", PATH, json=BODY)
        assert (answer.status_code, answer.json()) == (200, {"summary": "Three cakes."})
        assert "SPEAKER_00: Three cakes, please." in model.standin.requests[0].text


async def test_a_plain_sentence_says_why_there_is_no_answer(tmp_path: Path) -> None:
    async with site(tmp_path, filled=some) as served:
        for path, uid, status, said in (
            (PATH, "alice", 409, "no language model is configured"),
            (PATH, "bob", 404, "Conversation not found"),
            ("/v1/conversations/locked/test-prompt", "alice", 402, "locked"),
        ):
            answer = await served.request("POST", path, uid=uid, json=BODY)
            assert answer.status_code == status
            assert said in answer.json()["detail"]


async def test_a_model_that_fails_is_told_apart_from_a_request_that_is_wrong(tmp_path: Path) -> None:
    standin = OpenAiStandIn(plan=LlmFaultPlan(always=wrong(Wrong.STATUS)))
    async with asked(standin, retries=0) as model, site(tmp_path, filled=some) as served:
        served.models.llm = model.llm
        assert (await served.request("POST", PATH, json=BODY)).status_code == 503
        silent = await served.request("POST", "/v1/conversations/silent/test-prompt", json=BODY)
        assert (silent.status_code, "no text" in silent.json()["detail"]) == (409, True)
        assert (await served.request("POST", PATH, json={"prompt": " "})).status_code == 422
