"""A whole server of two workers whose files are in a bucket: recordings and pictures, and links to them."""

import base64
import json
from pathlib import Path

import numpy as np
import trio

from engine.stt.vendor import SAMPLE_RATE
from engine.wire.messages import PhotoProcessing
from tests import buckets
from tests.e2e.process import started
from tests.e2e.running import hear_all, talking
from tests.e2e.test_recordings import allow, heard, left, packets, speech
from tests.patience import PATIENCE


async def test_two_workers_keep_recordings_and_pictures_in_a_bucket(tmp_path: Path) -> None:
    said = {"ada": speech(8.2), "ben": speech(12.3)[4 * SAMPLE_RATE :]}
    picture = b"\xff\xd8\xff" + bytes(range(256))
    with buckets.s3() as bucket:
        environ = {
            "LISTEN_WORKERS": "2",
            "LISTEN_RECORDINGS_KEEP": "true",
            "LISTEN_RECORDINGS_PIECE_SECONDS": "6",
            "LISTEN_BLOBS_URL": bucket.url,
            "LISTEN_BLOBS_ENDPOINT": bucket.endpoint,
            "LISTEN_BLOBS_REGION": bucket.region,
            "LISTEN_BLOBS_ACCESS_KEY_ID": bucket.access_key_id,
            "LISTEN_BLOBS_SECRET_ACCESS_KEY": bucket.secret_access_key,
        }

        async def talk(uid: str) -> None:
            await allow(server, uid=uid)
            async with talking(server.url, uid, conversation_timeout=600) as (client, shown):
                data = base64.b64encode(picture).decode()
                chunk = {"type": "image_chunk", "id": "t", "index": 0, "total": 1, "data": data}
                # The picture comes later: it would begin the conversation before the first sound.
                await hear_all(client, shown, packets(said[uid]))
                await client.send_text(json.dumps(chunk))
                await shown.until(lambda shown: any(isinstance(e, PhotoProcessing) for e in shown.events))

        async with started(tmp_path, **environ) as server:
            async with trio.open_nursery() as nursery:
                for uid in said:
                    nursery.start_soon(talk, uid)
            with trio.fail_after(PATIENCE):
                await server.log.until("blobs.moved", count=2)
            assert await server.terminate() == 0  # with all that was heard in the bucket
        async with started(tmp_path, **environ) as server:
            for uid, samples in said.items():
                (conversation,) = await server.conversations(uid)
                path = f"/v1/conversations/{conversation['id']}"
                np.testing.assert_array_equal(await heard(server, conversation["id"], uid), samples)
                files = await server.get(f"{path}/recording/pieces", uid=uid)
                files += await server.get(f"{path}/photos/files", uid=uid)
                assert all(file["url"].startswith(bucket.endpoint) for file in files)
                assert (await server._http.get(files[-1]["url"])).content == picture
                (photo,) = await server.get(f"{path}/photos", uid=uid)
                assert base64.b64decode(photo["base64"]) == picture
    assert left(tmp_path) == []
