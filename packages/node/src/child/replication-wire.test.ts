/** The server and the dialer of replication on real sockets, with both ends in the test's hands. */
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { pipeline } from 'node:stream'
import { describe, expect, test } from 'vitest'
import type { ChannelTarget } from '../link/replication-link.js'
import type { ToFollower, ToPrimary } from '../shard/replication/messages.js'
import { inDirectory } from '../shard/testing/directory.js'
import type { Conversation, Counterpart } from './conversation.js'
import { pauseAfter, ReplicationDialer } from './replication-dialer.js'
import { ReplicationServer } from './replication-server.js'
import { until } from './testing/fake-shard.js'

/** One end of a conversation, and what it was told. */
class End<Out, In> {
  readonly heard: In[] = []
  ends = 0
  readonly to: Counterpart<Out>

  constructor(to: Counterpart<Out>) {
    this.to = to
  }

  get conversation(): Conversation<In> {
    return {
      onMessage: (message) => void this.heard.push(message),
      end: () => (this.ends += 1),
    }
  }
}

class Backup {
  readonly begun: End<ToPrimary, ToFollower>[] = []

  follow(to: Counterpart<ToPrimary>): Conversation<ToFollower> {
    const end = new End<ToPrimary, ToFollower>(to)
    this.begun.push(end)
    return end.conversation
  }

  get last(): End<ToPrimary, ToFollower> {
    return this.begun.at(-1) as End<ToPrimary, ToFollower>
  }
}

/** A child with primaries of some shards. */
class Primaries {
  readonly served = new Set<number>()
  readonly attached: { target: ChannelTarget; end: End<ToFollower, ToPrimary> }[] = []
  readonly errors: string[] = []
  readonly server = new ReplicationServer({
    shardCount: 4,
    attach: (target, to) => {
      if (!this.served.has(target.shard)) return undefined
      const end = new End<ToFollower, ToPrimary>(to)
      this.attached.push({ target, end })
      return end.conversation
    },
    onError: (error) => void this.errors.push(error.message),
  })

  serve(shard: number): void {
    this.served.add(shard)
    this.server.onPrimary(shard)
  }

  get last(): End<ToFollower, ToPrimary> {
    return this.attached.at(-1)?.end as End<ToFollower, ToPrimary>
  }
}

class Scene {
  readonly address: string
  readonly ended: string[] = []
  nowMs = 0
  readonly dialer = new ReplicationDialer({
    now: () => this.nowMs,
    chance: () => 0,
    onEnd: (target, _address, reason) => {
      this.ended.push(target === undefined ? 'line' : `${target.shard}: ${reason}`)
    },
  })
  primaries = new Primaries()

  constructor(directory: string) {
    this.address = join(directory, 'replication')
  }
}

function inScene(use: (scene: Scene) => Promise<void>): Promise<void> {
  return inDirectory(async (directory) => {
    const scene = new Scene(directory)
    try {
      await use(scene)
    } finally {
      scene.dialer.close()
      scene.primaries.server.close()
    }
  })
}

const TARGET = { shard: 1, copy: 2 }

describe('replication: finding each other', () => {
  test('primary here → the conversation begins; both hear what the other says', () =>
    inScene(async ({ address, primaries, dialer }) => {
      await primaries.server.listen(address)
      primaries.serve(1)
      const backup = new Backup()
      dialer.follow(TARGET, address, backup)
      await until(() => primaries.attached.length === 1)
      expect(primaries.attached[0]?.target).toEqual(TARGET)
      primaries.last.to.send({ type: 'greet', epoch: 3 })
      await until(() => backup.begun[0]?.heard.length === 1)
      backup.last.to.send({ type: 'durable', epoch: 3, revision: 7 })
      await until(() => primaries.last.heard.length === 1)
      expect(backup.last.heard).toEqual([{ type: 'greet', epoch: 3 }])
      expect(primaries.last.heard).toEqual([{ type: 'durable', epoch: 3, revision: 7 }])
    }))

  test('the backup comes before its primary → it waits and is brought to it', () =>
    inScene(async ({ address, primaries, dialer }) => {
      await primaries.server.listen(address)
      primaries.serve(0)
      dialer.follow(TARGET, address, new Backup())
      // The same socket, opened later: the first has been seen when this one is.
      dialer.follow({ shard: 0, copy: 1 }, address, new Backup())
      await until(() => primaries.attached.length === 1)
      expect(primaries.attached[0]?.target.shard).toBe(0)
      primaries.serve(1)
      expect(primaries.attached[1]?.target).toEqual(TARGET)
    }))

  test('nobody listens yet → tried again until somebody does', () =>
    inScene(async ({ address, primaries, dialer, ended }) => {
      dialer.follow(TARGET, address, new Backup())
      await until(() => ended.length >= 2)
      primaries.serve(1)
      await primaries.server.listen(address)
      await until(() => primaries.attached.length === 1)
      expect(new Set(ended)).toEqual(new Set(['line']))
    }))

  test('a socket that a killed child left behind → replaced', () =>
    inScene(async ({ address, primaries }) => {
      const dead = createServer().listen(address)
      await once(dead, 'listening')
      // Closing removes the file; a process that is killed does not.
      const before = await stat(address)
      await primaries.server.listen(address)
      expect((await stat(address)).ino).not.toBe(before.ino)
      dead.close()
    }))

  test('several shards → one socket', () =>
    inScene(async ({ address, primaries, dialer }) => {
      let connections = 0
      const count = createServer((socket) => {
        connections += 1
        pipeline(socket, connect(`${address}-behind`), socket, () => undefined)
      }).listen(address)
      await once(count, 'listening')
      await primaries.server.listen(`${address}-behind`)
      for (const shard of [0, 1, 2]) {
        primaries.serve(shard)
        dialer.follow({ shard, copy: 1 }, address, new Backup())
      }
      await until(() => primaries.attached.length === 3)
      expect(connections).toBe(1)
      count.close()
    }))
})

describe('replication: conversations that end', () => {
  async function talking(scene: Scene): Promise<Backup> {
    const { primaries, address, dialer } = scene
    await primaries.server.listen(address)
    primaries.serve(1)
    const backup = new Backup()
    dialer.follow(TARGET, address, backup)
    await until(() => primaries.attached.length === 1)
    return backup
  }

  test('the backup breaks it → the primary is told; it is begun anew', () =>
    inScene(async (scene) => {
      const backup = await talking(scene)
      const first = scene.primaries.last
      backup.last.to.broken('a frame of another log')
      await until(() => scene.primaries.attached.length === 2)
      expect(first.ends).toBe(1)
      expect(backup.begun).toHaveLength(2)
      expect(scene.ended).toEqual(['1: a frame of another log'])
    }))

  test('the primary breaks it → the backup is told; it is begun anew', () =>
    inScene(async (scene) => {
      const backup = await talking(scene)
      scene.primaries.last.to.broken('too slow')
      await until(() => scene.primaries.attached.length === 2)
      expect(backup.begun[0]?.ends).toBe(1)
      expect(scene.ended).toEqual(['1: too slow'])
    }))

  test('the primary leaves → its backups are told, come again and wait', () =>
    inScene(async (scene) => {
      const { primaries } = scene
      await talking(scene)
      primaries.served.delete(1)
      primaries.server.endAll(1, 'released')
      await until(() => scene.ended.length === 1)
      expect(primaries.attached).toHaveLength(1)
      await until(() => {
        primaries.serve(1)
        return primaries.attached.length === 2
      })
    }))

  test('another primary is followed → the former hears of the end, nothing reaches it any more', () =>
    inScene(async (scene) => {
      const backup = await talking(scene)
      const { primaries, address, dialer } = scene
      const others = new Primaries()
      others.serve(1)
      await others.server.listen(`${address}-other`)
      const [former] = backup.begun
      dialer.follow(TARGET, `${address}-other`, backup)
      former?.to.send({ type: 'durable', epoch: 1, revision: 1 })
      await until(() => others.attached.length === 1 && primaries.last.ends === 1)
      expect(former?.ends).toBe(1)
      expect(primaries.last.heard).toEqual([])
      others.server.close()
    }))

  test('the same primary again → the conversation goes on', () =>
    inScene(async (scene) => {
      const backup = await talking(scene)
      scene.dialer.follow(TARGET, scene.address, backup)
      backup.last.to.send({ type: 'durable', epoch: 1, revision: 1 })
      await until(() => scene.primaries.last.heard.length === 1)
      expect(backup.begun).toHaveLength(1)
    }))

  test('nobody is followed → the conversation ends, and the socket with the last', () =>
    inScene(async (scene) => {
      const backup = await talking(scene)
      scene.dialer.follow(TARGET, undefined, backup)
      await until(() => scene.primaries.last.ends === 1)
      expect(backup.last.ends).toBe(1)
      expect(scene.ended).toEqual([])
    }))

  test('the other child is gone → every conversation ends, and begins anew where it comes back', () =>
    inScene(async (scene) => {
      const backup = await talking(scene)
      scene.primaries.server.close()
      await until(() => scene.ended.includes('line'))
      expect(backup.begun[0]?.ends).toBe(1)
      scene.primaries = new Primaries()
      scene.primaries.serve(1)
      await scene.primaries.server.listen(scene.address)
      await until(() => scene.primaries.attached.length === 1)
    }))

  test('the child of the primary ends → who follows and who waits is told, and who comes', () =>
    inScene(async (scene) => {
      const { primaries, dialer, address, ended } = scene
      await talking(scene)
      dialer.follow({ shard: 2, copy: 0 }, address, new Backup())
      primaries.server.refuse('the child ends')
      await until(() => ended.filter((each) => each === '2: the child ends').length > 1)
      expect(ended).toContain('1: the child ends')
      expect(primaries.attached).toHaveLength(1)
    }))

  test('a child that ends → waits for the primaries it follows, and begins nothing', () =>
    inScene(async (scene) => {
      const { primaries, dialer, ended } = scene
      const backup = await talking(scene)
      const drained = dialer.drain(60_000)
      primaries.server.refuse('the child ends')
      await drained
      expect(ended).toEqual(['1: the child ends'])
      expect(backup.begun).toHaveLength(1)
    }))

  test('a copy comes twice → the later one counts', () =>
    inScene(async (scene) => {
      await talking(scene)
      const { primaries, address } = scene
      const other = new Scene(address)
      other.dialer.follow(TARGET, address, new Backup())
      await until(() => primaries.attached.length === 2)
      expect(primaries.attached[0]?.end.ends).toBe(1)
      other.dialer.close()
    }))

  test('a follower of a shard that does not exist → its socket ends', () =>
    inScene(async (scene) => {
      const { primaries, address, dialer } = scene
      await primaries.server.listen(address)
      dialer.follow({ shard: 4, copy: 0 }, address, new Backup())
      await until(() => primaries.errors.length > 0)
      expect(primaries.errors[0]).toMatch(/shard 4, copy 0: there is no such copy/)
    }))
})

test('pauses grow from 20 ms to a second, half of each left to chance', () => {
  expect([1, 2, 3, 7, 50].map((attempts) => pauseAfter(attempts, 0))).toEqual([
    10, 20, 40, 500, 500,
  ])
  expect(pauseAfter(50, 0.999)).toBeLessThan(1_000)
})
