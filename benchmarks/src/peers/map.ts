/** A `Map` in this process: what a call costs that goes nowhere. It gives promises, as every store does. */
import type { Peer, PeerClient } from './peer.js'

export function startMap(): Promise<Peer> {
  const map = new Map<string, string | number>()
  const client: PeerClient = {
    get: (key) => Promise.resolve(map.get(key)),
    set: (key, value) => Promise.resolve(map.set(key, value)),
    increment: (key) => {
      const next = Number(map.get(key) ?? 0) + 1
      map.set(key, next)
      return Promise.resolve(next)
    },
    getMany: (keys) => Promise.resolve(keys.map((key) => map.get(key))),
    setMany: (entries) => {
      for (const [key, value] of entries) map.set(key, value)
      return Promise.resolve()
    },
    close: () => Promise.resolve(),
  }
  return Promise.resolve({
    name: 'Map in process',
    settings: `a Map of Node.js ${process.version} in this process, behind promises; nothing is stored`,
    connect: () => Promise.resolve(client),
    stop: () => {
      map.clear()
      return Promise.resolve()
    },
  })
}
