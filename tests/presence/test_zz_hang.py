import asyncio
from tests.presence.conftest import *
from tests.presence.samples import *
from server.presence import Directory
async def test_hang(store, valkey):
    d=Directory(store,["game"],lease_s=0.03)
    async def never():
        await d.listings("game"); 
        return bool(valkey.run("DBSIZE")==5)
    await until(never)
async def test_cancel(store):
    d=Directory(store,["game"],lease_s=0.03)
    async def loop():
        while True:
            await d.listings("game"); await d.refresh("n"); await store.probe()
    import random
    for i in range(300):
        t=asyncio.create_task(loop())
        await asyncio.sleep(random.random()*0.004)
        t.cancel()
        done,_=await asyncio.wait({t},timeout=1)
        assert done, i
        assert t.cancelled()
    assert await store.probe() is None
