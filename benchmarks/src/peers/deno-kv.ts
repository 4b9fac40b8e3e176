/** Deno KV on its SQLite file, in this process: its native part is npm's. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Kv } from '@deno/kv'
import { openKv } from '@deno/kv'
import type { AbsentPeer, Peer, PeerClient } from './peer.js'
import { packageVersion } from './versions.js'

const NAME = 'Deno KV'
/** It takes no more keys in one call. */
const GET_KEYS_MAX = 10
/** Above every character, so that a range ends behind all that begin with a prefix. */
const LAST = '\u{10ffff}'
/** Ending a watch before its library has asked for the next change is an error that nobody can catch. */
const ASKED_MS = 20

export async function startDenoKv(): Promise<Peer | AbsentPeer> {
  const directory = await mkdtemp(join(tmpdir(), 'kv-bench-'))
  const open = (): Promise<Kv> => openKv(join(directory, 'kv.sqlite'))
  const stop = (): Promise<void> => rm(directory, { recursive: true, force: true })
  try {
    const probe = await open()
    probe.close()
  } catch (error) {
    await stop()
    const why = error instanceof Error ? error.message : String(error)
    return { name: NAME, absent: `its native part can't be loaded here: ${why}` }
  }
  return {
    name: NAME,
    settings: `${packageVersion('@deno/kv')} on SQLite in this process, as it is: fsync before every acknowledgement`,
    connect: async () => clientOf(await open()),
    stop,
  }
}

function clientOf(kv: Kv): PeerClient {
  return {
    get: async (key) => (await kv.get([key])).value,
    set: (key, value) => kv.set([key], value),
    increment: (key) => kv.atomic().sum([key], 1n).commit(),
    setIf: async (key, value) => {
      const held = await kv.get([key])
      return (await kv.atomic().check(held).set([key], value).commit()).ok
    },
    getMany: async (keys) => {
      const calls = []
      for (let start = 0; start < keys.length; start += GET_KEYS_MAX) {
        const some = keys.slice(start, start + GET_KEYS_MAX).map((key) => [key])
        calls.push(kv.getMany<string[]>(some))
      }
      return (await Promise.all(calls)).flat().map(({ value }) => value)
    },
    setMany: async (entries) => {
      let all = kv.atomic()
      for (const [key, value] of entries) all = all.set([key], value)
      return (await all.commit()).ok
    },
    list: async (prefix, limit) => {
      let count = 0
      const range = { start: [prefix], end: [`${prefix}${LAST}`] }
      for await (const entry of kv.list(range, { limit, batchSize: limit })) {
        if (entry.value !== null) count += 1
      }
      return count
    },
    watch: async (key, onChange) => {
      const reader = kv.watch([[key]]).getReader()
      // The first says what there is; it is held back until there is something.
      await reader.read()
      const following = (async () => {
        while (!(await reader.read()).done) onChange()
      })()
      return async () => {
        await delay(ASKED_MS)
        await reader.cancel()
        await following
      }
    },
    close: () => {
      kv.close()
      return Promise.resolve()
    },
  }
}
