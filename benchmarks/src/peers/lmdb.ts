/** LMDB in this process: what a store on it can reach at most, without a server. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RootDatabase } from 'lmdb'
import { open } from 'lmdb'
import type { Peer, PeerClient } from './peer.js'
import { packageVersion } from './versions.js'

/** Above every character, so that a range ends behind all that begin with a prefix. */
const LAST = '\u{10ffff}'

type Store = RootDatabase<string | number, string>

export async function startLmdb(): Promise<Peer> {
  const directory = await mkdtemp(join(tmpdir(), 'kv-bench-'))
  const store: Store = open({
    path: directory,
    useVersions: true,
    // Otherwise a write is acknowledged before it is synced.
    overlappingSync: false,
  })
  return {
    name: 'LMDB in process',
    settings: `${packageVersion('lmdb')} in this process, fsync before every acknowledgement`,
    // The clients of one process share it.
    connect: () => Promise.resolve(clientOf(store)),
    stop: async () => {
      await store.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** Its gets are at once; here they give promises, as a program that awaits them would have it. */
function clientOf(store: Store): PeerClient {
  return {
    get: (key) => Promise.resolve(store.get(key)),
    set: (key, value) => store.put(key, value, 1),
    increment: (key) =>
      store.transaction(() => {
        const next = Number(store.get(key) ?? 0) + 1
        store.putSync(key, next, 1)
        return next
      }),
    setIf: (key, value) => {
      const version = store.getEntry(key)?.version
      return version === undefined
        ? store.ifNoExists(key, () => {
            void store.put(key, value, 1)
          })
        : store.put(key, value, version + 1, version)
    },
    getMany: (keys) => Promise.resolve(keys.map((key) => store.get(key))),
    setMany: (entries) =>
      store.batch(() => {
        for (const [key, value] of entries) void store.put(key, value, 1)
      }),
    list: (prefix, limit) => {
      const range = store.getRange({ start: prefix, end: `${prefix}${LAST}`, limit })
      return Promise.resolve(Array.from(range).length)
    },
    close: () => Promise.resolve(),
  }
}
