/** Hosts of real copies that replicate over real sockets; the test is their coordinator. */
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Call } from '@kv/protocol'
import { describe, expect, test } from 'vitest'
import type { FromChild, InSync } from '../link/control.js'
import { setCall } from '../shard/testing/calls.js'
import { inDirectory } from '../shard/testing/directory.js'
import { until } from './testing/fake-shard.js'
import { HostUnderTest } from './testing/host-under-test.js'

const GET: Call = { type: 'get', key: 'a' }

/** One shard of two copies, each in a host of its own. */
class Node {
  readonly hosts: HostUnderTest[] = []
  readonly addresses: string[] = []
  inSync: InSync = { version: 1, members: [0] }
  /** The set is granted as it is asked for; else the answer is what it was. */
  grants = true
  private readonly root: string
  private epoch = 0
  private hostings = 0

  constructor(root: string) {
    this.root = root
  }

  async addHost(): Promise<HostUnderTest> {
    const childId = this.hosts.length + 1
    const replicationAddress = join(this.root, `${childId}.sock`)
    const under = new HostUnderTest(this.root, { childId, replicationAddress })
    this.hosts.push(under)
    this.addresses.push(replicationAddress)
    under.onReport = (message) => {
      this.onReport(under, message)
    }
    await under.host.listen()
    under.connect()
    return under
  }

  private onReport({ host }: HostUnderTest, message: FromChild): void {
    if (message.type !== 'askSet' || message.epoch !== this.epoch) return
    const { change, version } = message
    const isGranted = this.grants && version === this.inSync.version
    const others = this.inSync.members.filter((copy) => copy !== change.copy)
    const asked = change.type === 'add' ? [...others, change.copy] : others
    const members = isGranted ? asked : this.inSync.members
    this.inSync = { version: this.inSync.version + 1, members }
    setImmediate(() => {
      host.replicas.onInSync(0, message.epoch, this.inSync)
    })
  }

  directory(copy: number): string {
    return join(this.root, 'shards', '0', `${copy}`)
  }

  hosting(copy: number, create: boolean, hosting: number = (this.hostings += 1)) {
    return { shard: 0, copy, hosting, volume: this.root, directory: this.directory(copy), create }
  }

  /** Makes a copy primary in the next epoch. */
  open(host: HostUnderTest, copy: number, options: { create?: boolean; hosting?: number } = {}) {
    this.epoch += 1
    const { epoch, inSync } = this
    const place = this.hosting(copy, options.create ?? false, options.hosting)
    return host.host.replicas.open({ ...place, epoch, topologyVersion: 1, inSync, minInSync: 1 })
  }

  async back(host: HostUnderTest, copy: number, primary: number, create = true): Promise<number> {
    const place = this.hosting(copy, create)
    const primaryAddress = this.addresses[primary]
    await host.host.replicas.back({ ...place, ...(primaryAddress && { primaryAddress }) })
    return place.hosting
  }

  /** Nothing is asked any more, and the set is this one. */
  inSyncWith(...members: number[]): Promise<void> {
    return until(() => members.join() === this.inSync.members.toSorted((a, b) => a - b).join())
  }

  async close(): Promise<void> {
    await Promise.all(this.hosts.map(({ host }) => host.close()))
  }
}

function withNode(use: (node: Node, a: HostUnderTest, b: HostUnderTest) => Promise<void>) {
  return inDirectory(async (root) => {
    const node = new Node(root)
    const [a, b] = [await node.addHost(), await node.addHost()]
    try {
      await use(node, a, b)
    } finally {
      await node.close()
    }
  })
}

describe('hosts: a primary and its backup', () => {
  test('P1: a new backup catches up, joins the set, and has what is written', () =>
    withNode(async (node, a, b) => {
      await node.open(a, 0, { create: true })
      await a.write(Array.from({ length: 300 }, (_, index) => setCall(`before ${index}`, 'x')))
      await node.back(b, 1, 0)
      await node.inSyncWith(0, 1)
      await a.write([setCall('a', 'one')])
      const { shards } = a.host.measure()
      await until(() => b.host.measure().copies[0]?.committedRevision === shards[0]?.revision)
      expect(b.host.measure().copies).toMatchObject([{ shard: 0, copy: 1, epoch: 1 }])
    }))

  test('P1, P5: the primary is gone → the backup is promoted where it is, with everything', () =>
    withNode(async (node, a, b) => {
      await node.open(a, 0, { create: true })
      const hosting = await node.back(b, 1, 0)
      await node.inSyncWith(0, 1)
      await a.write([setCall('a', 'one')])
      await a.host.close()
      node.inSync = { version: 100, members: [1] }
      await node.open(b, 1, { hosting })
      expect(b.reports.at(-1)).toEqual({ type: 'opened', shard: 0, hosting, epoch: 2 })
      expect(await b.read([GET])).toEqual(['one'])
      expect(await b.write([setCall('a', 'two')])).toHaveLength(1)
    }))

  test('P1: roles change back and forth → each copy has every write', () =>
    withNode(async (node, a, b) => {
      await node.open(a, 0, { create: true })
      let hosting = await node.back(b, 1, 0)
      const hosts = [a, b]
      for (let round = 0; round < 6; round += 1) {
        const [primary, next] = round % 2 === 0 ? [0, 1] : [1, 0]
        await node.inSyncWith(0, 1)
        const from = hosts[primary] as HostUnderTest
        await from.write([setCall('a', `round ${round}`), setCall(`key ${round}`, 'x')])
        const held = from.reports.findLast(({ type }) => type === 'opened') as { hosting: number }
        await from.host.replicas.release(0, held.hosting)
        node.inSync = { version: node.inSync.version + 100, members: [next] }
        const to = hosts[next] as HostUnderTest
        const opening = node.open(to, next, { hosting })
        hosting = await node.back(from, primary, next, false)
        await opening
        const calls = Array.from({ length: round + 1 }, (_, index): Call => {
          return { type: 'has', key: `key ${index}` }
        })
        expect(await to.read([GET, ...calls])).toEqual([`round ${round}`, ...calls.map(() => true)])
      }
    }))

  test('a backup that is required is gone → writes wait for the set without it, then commit', () =>
    withNode(async (node, a, b) => {
      await node.open(a, 0, { create: true })
      const hosting = await node.back(b, 1, 0)
      await node.inSyncWith(0, 1)
      node.grants = false
      await b.host.replicas.release(0, hosting)
      const writing = a.write([setCall('a', 'one')])
      const first = await Promise.race([writing, until(() => node.inSync.version > 6)])
      expect(first).toBeUndefined()
      node.grants = true
      await writing
      expect(node.inSync.members).toEqual([0])
    }))

  test('a new primary waits for a copy of its set that comes later', () =>
    withNode(async (node, a, b) => {
      await node.open(a, 0, { create: true })
      const hosting = await node.back(b, 1, 0)
      await node.inSyncWith(0, 1)
      await a.write([setCall('a', 'one')])
      await a.host.replicas.release(0, 1)
      // The other copy is still hosted, or will be: it stays in the set.
      const opening = node.open(b, 1, { hosting })
      await node.back(a, 0, 1, false)
      await opening
      expect(node.inSync.members).toEqual([0, 1])
      expect(await b.read([GET])).toEqual(['one'])
    }))

  test('released while it waits for its set → the copy can be hosted again', () =>
    withNode(async (node, a, b) => {
      await node.open(a, 0, { create: true })
      const hosting = await node.back(b, 1, 0)
      await node.inSyncWith(0, 1)
      await a.write([setCall('a', 'one')])
      await a.host.replicas.release(0, 1)
      node.grants = false
      const opening = node.open(b, 1, { hosting })
      await until(() => b.host.measure().copies.length === 0)
      await b.host.replicas.release(0, hosting)
      await opening
      node.inSync = { version: 100, members: [1] }
      await node.open(b, 1)
      expect(await b.read([GET])).toEqual(['one'])
    }))

  test('P1: both end at once → what was under way commits, and no time passes', () =>
    withNode(async (node, a, b) => {
      await node.open(a, 0, { create: true })
      await node.back(b, 1, 0)
      await node.inSyncWith(0, 1)
      const writing = a.write([setCall('a', 'one')])
      const ended = Promise.all([b.host.close(), a.host.close()])
      expect(await writing).toHaveLength(1)
      await ended
    }))

  test('P8: a copy is lost → begun anew, it gets all there is from a snapshot', () =>
    withNode(async (node, a, b) => {
      await node.open(a, 0, { create: true })
      const hosting = await node.back(b, 1, 0)
      await node.inSyncWith(0, 1)
      await a.write([setCall('a', 'one')])
      await b.host.replicas.release(0, hosting)
      await node.inSyncWith(0)
      await rm(join(node.directory(1), 'state'), { recursive: true })
      await node.back(b, 1, 0, false)
      expect(b.reports.at(-1)).toMatchObject({ type: 'failed', damaged: true })
      await node.back(b, 1, 0, true)
      await node.inSyncWith(0, 1)
      expect(await readdir(join(node.directory(1), '..'))).toContain('1.damaged-1')
      await a.host.close()
      node.inSync = { version: 100, members: [1] }
      const { hosting: last } = b.reports.findLast(({ type }) => type === 'backing') as {
        hosting: number
      }
      await node.open(b, 1, { hosting: last })
      expect(await b.read([GET])).toEqual(['one'])
    }))
})
