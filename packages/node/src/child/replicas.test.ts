import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pino } from 'pino'
import { describe, expect, test } from 'vitest'
import type { BackupPlace, FromChild, ReplicaPlace } from '../link/control.js'
import { StateDamage } from '../shard/state/stored-entry.js'
import { inDirectory } from '../shard/testing/directory.js'
import { Replicas } from './replicas.js'
import { FakeEngine, type FakeBackup, type FakePrimary } from './testing/fake-engine.js'
import { until } from './testing/fake-shard.js'
import { configurationOf } from './testing/host-under-test.js'

class Scene {
  readonly engine = new FakeEngine()
  readonly reports: FromChild[] = []
  /** Whom each backup follows, and who is told of primaries. */
  readonly news: string[] = []
  followError: Error | undefined
  readonly replicas = new Replicas({
    configuration: configurationOf({ replicationAddress: '/run/child-1' }),
    logger: pino({ level: 'silent' }),
    clock: { now: () => 0 },
    pace: (append) => void append(),
    engine: this.engine,
    report: (message) => void this.reports.push(message),
    onPrimary: (shard) => void this.news.push(`primary of ${shard}`),
    onPrimaryGone: (shard, reason) => void this.news.push(`no primary of ${shard}: ${reason}`),
    follow: ({ shard }, address) => {
      if (this.followError !== undefined) throw this.followError
      this.news.push(`${shard} follows ${address ?? 'nobody'}`)
    },
    leave: (shard) => void this.news.push(`${shard} leaves`),
  })

  get primary(): FakePrimary {
    return this.engine.primaries.at(-1) as FakePrimary
  }

  get backup(): FakeBackup {
    return this.engine.backups.at(-1) as FakeBackup
  }

  /** What became of hostings, in short. */
  get outcomes(): string[] {
    return this.reports.map((each) =>
      'hosting' in each ? `${each.type} ${each.hosting}` : each.type,
    )
  }

  async opened(place: Partial<ReplicaPlace> = {}): Promise<void> {
    const opening = this.replicas.open(primaryPlace(place))
    await until(() => this.engine.primaries.length > 0 && this.news.includes('primary of 0'))
    this.primary.begun.open()
    await opening
  }
}

const HOSTING = {
  shard: 0,
  copy: 0,
  hosting: 1,
  volume: '/none',
  directory: '/none/0',
  create: false,
}

function primaryPlace(place: Partial<ReplicaPlace> = {}): ReplicaPlace {
  const inSync = { version: 1, members: [0] }
  return { ...HOSTING, epoch: 5, topologyVersion: 3, inSync, minInSync: 1, ...place }
}

function backupPlace(place: Partial<BackupPlace> = {}): BackupPlace {
  return { ...HOSTING, ...place }
}

describe('replicas: primary', () => {
  test('opened → served; followers may come before that', async () => {
    const { replicas, engine, reports, news } = new Scene()
    const opening = replicas.open(primaryPlace())
    await until(() => news.length === 1)
    expect(news).toEqual(['primary of 0'])
    const to = { send: () => undefined, broken: () => undefined }
    expect(replicas.attach({ shard: 0, copy: 1 }, to)).toBeDefined()
    expect(replicas.primary(0)).toBeUndefined()
    replicas.onTick()
    engine.primaries[0]?.begun.open()
    await opening
    expect(replicas.primary(0)).toBe(engine.primaries[0])
    expect(replicas.writableSince(0)).toBe(3)
    expect(engine.primaries[0]?.ticks).toBe(1)
    expect(reports).toEqual([{ type: 'opened', shard: 0, hosting: 1, epoch: 5 }])
  })

  test('it asks for another set → the coordinator is asked, its answer handed on', async () => {
    const scene = new Scene()
    await scene.opened()
    const change = { type: 'add', copy: 1, hosting: 4 } as const
    scene.primary.options.replication?.ask(change, 1)
    expect(scene.reports.at(-1)).toEqual({ type: 'askSet', shard: 0, epoch: 5, version: 1, change })
    const inSync = { version: 2, members: [0, 1] }
    scene.replicas.onInSync(0, 4, inSync)
    expect(scene.primary.sets).toEqual([])
    scene.replicas.onInSync(0, 5, inSync)
    expect(scene.primary.sets).toEqual([inSync])
  })

  test('it fails while it serves → closed, reported once, and gone', async () => {
    const scene = new Scene()
    await scene.opened()
    scene.primary.options.onFailure(new StateDamage('a bad entry'))
    scene.primary.options.onFailure(new Error('again'))
    expect(scene.replicas.primary(0)).toBeUndefined()
    await until(() => scene.reports.length === 2)
    expect(scene.reports.at(-1)).toMatchObject({
      type: 'failed',
      hosting: 1,
      reason: 'a bad entry',
      damaged: true,
    })
    expect(scene.primary.isClosed).toBe(true)
    await scene.opened({ hosting: 2, epoch: 6 })
    expect(scene.outcomes).toEqual(['opened 1', 'failed 1', 'opened 2'])
  })

  test('it fails while it opens → reported once, with its own reason', async () => {
    const scene = new Scene()
    const opening = scene.replicas.open(primaryPlace())
    await until(() => scene.news.length === 1)
    scene.primary.options.onFailure(new Error('an append took too long'))
    await opening
    expect(scene.reports).toMatchObject([{ type: 'failed', reason: 'an append took too long' }])
    expect(scene.primary.isClosed).toBe(true)
  })

  test('a follower of its own copy, or of no primary → not attached', async () => {
    const scene = new Scene()
    await scene.opened()
    const to = { send: () => undefined, broken: () => undefined }
    expect(scene.replicas.attach({ shard: 0, copy: 0 }, to)).toBeUndefined()
    expect(scene.replicas.attach({ shard: 1, copy: 1 }, to)).toBeUndefined()
  })
})

describe('replicas: backup', () => {
  test('opened → reported, follows whom it is told, then another', async () => {
    const { replicas, reports, news, engine } = new Scene()
    await replicas.back(backupPlace({ primaryAddress: 'a' }))
    await replicas.back(backupPlace({ primaryAddress: 'b' }))
    await replicas.back(backupPlace())
    expect(reports).toEqual([{ type: 'backing', shard: 0, hosting: 1 }])
    expect(news).toEqual(['0 follows a', '0 follows b', '0 follows nobody'])
    expect(engine.backups).toHaveLength(1)
    replicas.onTick()
    expect(engine.backups[0]?.ticks).toBe(1)
    expect([...replicas.overlays()]).toEqual(engine.backups)
  })

  test('promoted → the same replica, warm, under the same hosting', async () => {
    const scene = new Scene()
    await scene.replicas.back(backupPlace({ primaryAddress: 'a' }))
    scene.backup.settled.open()
    await scene.opened()
    expect(scene.primary.options.replica).toBe(scene.backup.replica)
    expect(scene.news).toContain('0 leaves')
    expect(scene.backup.isClosed).toBe(false)
    expect(scene.outcomes).toEqual(['backing 1', 'opened 1'])
    expect(scene.replicas.backup(0)).toBeUndefined()
  })

  test('it can not be promoted → failed, once', async () => {
    const scene = new Scene()
    await scene.replicas.back(backupPlace())
    scene.backup.settled.fail(new Error('its log has failed'))
    await scene.replicas.open(primaryPlace())
    expect(scene.outcomes).toEqual(['backing 1', 'failed 1'])
    expect(scene.backup.isClosed).toBe(true)
  })

  test('it fails → closed, reported once', async () => {
    const scene = new Scene()
    await scene.replicas.back(backupPlace())
    scene.backup.options.onFailure(new Error('its disk'))
    await until(() => scene.reports.length === 2)
    expect(scene.outcomes).toEqual(['backing 1', 'failed 1'])
    expect(scene.backup.isClosed).toBe(true)
    expect(scene.replicas.backup(0)).toBeUndefined()
  })

  test('it can not be opened → failed; the next hosting may be', async () => {
    const scene = new Scene()
    scene.engine.backupError = new StateDamage('no log there')
    await scene.replicas.back(backupPlace())
    scene.engine.backupError = undefined
    await scene.replicas.back(backupPlace({ hosting: 2 }))
    expect(scene.reports[0]).toMatchObject({ type: 'failed', hosting: 1, damaged: true })
    expect(scene.outcomes).toEqual(['failed 1', 'backing 2'])
  })

  test('it can not follow whom it is told to → let go of, failed; the next hosting may be', async () => {
    const scene = new Scene()
    scene.followError = new Error('no such address')
    await scene.replicas.back(backupPlace({ primaryAddress: 'a' }))
    expect(scene.backup.isClosed).toBe(true)
    scene.followError = undefined
    await scene.replicas.back(backupPlace({ hosting: 2 }))
    expect(scene.outcomes).toEqual(['backing 1', 'failed 1', 'backing 2'])
  })

  test('another hosting while one is here → refused, and the one here goes on', async () => {
    const scene = new Scene()
    await scene.replicas.back(backupPlace())
    await scene.replicas.back(backupPlace({ copy: 1, hosting: 7 }))
    await scene.replicas.open(primaryPlace({ hosting: 8 }))
    expect(scene.outcomes).toEqual(['backing 1', 'failed 7', 'failed 8'])
    expect(scene.replicas.backup(0)).toBe(scene.backup)
  })

  test('P8: begun anew → what was there is set aside, and one such is kept', () =>
    inDirectory(async (root) => {
      const directory = join(root, '1')
      for (const text of ['first', 'second']) {
        await mkdir(join(directory, 'log'), { recursive: true })
        await writeFile(join(directory, 'log', text), text)
        const scene = new Scene()
        await scene.replicas.back(backupPlace({ directory, create: true }))
        expect(scene.outcomes).toEqual(['backing 1'])
      }
      expect(await readdir(root)).toEqual(['1.damaged-2'])
      expect(await readdir(join(root, '1.damaged-2', 'log'))).toEqual(['second'])
    }))
})

describe('replicas: orders that cross', () => {
  test('released while the epoch waits for followers → ends, released and nothing else', async () => {
    const scene = new Scene()
    const opening = scene.replicas.open(primaryPlace())
    await until(() => scene.news.length === 1)
    await scene.replicas.release(0, 1)
    await opening
    expect(scene.outcomes).toEqual(['released 1'])
    expect(scene.primary.isClosed).toBe(true)
    expect(scene.news.at(-1)).toMatch(/^no primary of 0/)
  })

  test('released before its turn → never opened', async () => {
    const scene = new Scene()
    await scene.replicas.back(backupPlace())
    const releasing = scene.replicas.release(0, 1)
    const opening = scene.replicas.open(primaryPlace({ hosting: 2 }))
    await scene.replicas.release(0, 2)
    await Promise.all([releasing, opening])
    expect(scene.outcomes).toEqual(['backing 1', 'released 1', 'released 2'])
    expect(scene.engine.primaries).toEqual([])
  })

  test('released while it is promoted → released and nothing else', async () => {
    const scene = new Scene()
    await scene.replicas.back(backupPlace())
    const opening = scene.replicas.open(primaryPlace())
    await scene.replicas.release(0, 1)
    await opening
    expect(scene.outcomes).toEqual(['backing 1', 'released 1'])
    expect(scene.backup.isClosed).toBe(true)
  })

  test('a release of another hosting → the copy stays', async () => {
    const scene = new Scene()
    await scene.opened()
    await scene.replicas.release(0, 7)
    expect(scene.replicas.primary(0)).toBe(scene.primary)
    expect(scene.outcomes).toEqual(['opened 1', 'released 7'])
  })

  test('one shard waits → others do not', async () => {
    const scene = new Scene()
    const opening = scene.replicas.open(primaryPlace())
    await scene.replicas.back(backupPlace({ shard: 1 }))
    expect(scene.outcomes).toEqual(['backing 1'])
    await scene.replicas.release(0, 1)
    await opening
  })

  test('the child ends → primaries first, then backups; orders are not taken any more', async () => {
    const scene = new Scene()
    await scene.opened()
    await scene.replicas.back(backupPlace({ shard: 1 }))
    const opening = scene.replicas.open(primaryPlace({ shard: 2 }))
    await scene.replicas.closePrimaries()
    expect(scene.engine.primaries.every(({ isClosed }) => isClosed)).toBe(true)
    expect(scene.backup.isClosed).toBe(false)
    await scene.replicas.back(backupPlace({ shard: 3 }))
    await scene.replicas.closeAll()
    await opening
    expect(scene.backup.isClosed).toBe(true)
    expect(scene.outcomes).toEqual(['opened 1', 'backing 1'])
  })
})

describe('P5: replicas: orders for a hosting that has ended here', () => {
  test('it has failed, then it is to be promoted → not opened, nothing told', async () => {
    const { replicas, engine, outcomes, reports } = await failedBackup()
    await replicas.open(primaryPlace())
    await replicas.back(backupPlace())
    expect(engine.primaries).toHaveLength(0)
    expect(engine.backups).toHaveLength(1)
    expect(reports).toHaveLength(outcomes.length)
    expect(outcomes).toEqual(['backing 1', 'failed 1'])
  })

  test('it is released, then it is to follow another primary → not opened, nothing told', async () => {
    const scene = new Scene()
    const { replicas, engine } = scene
    await replicas.back(backupPlace({ hosting: 4 }))
    await replicas.release(0, 4)
    await replicas.back(backupPlace({ hosting: 4, primaryAddress: '/run/child-2' }))
    await replicas.back(backupPlace({ hosting: 3 }))
    expect(engine.backups).toHaveLength(1)
    expect(scene.outcomes).toEqual(['backing 4', 'released 4'])
  })

  test('a later hosting, or one of another shard → as ever', async () => {
    const { replicas, engine } = await failedBackup()
    await replicas.back(backupPlace({ hosting: 2 }))
    await replicas.back(backupPlace({ shard: 1, hosting: 1 }))
    expect(engine.backups).toHaveLength(3)
  })

  test('a later hosting was refused while one is here → that one is promoted all the same', async () => {
    const scene = new Scene()
    const { replicas } = scene
    await replicas.back(backupPlace({ hosting: 1 }))
    await replicas.back(backupPlace({ copy: 1, hosting: 2 }))
    scene.backup.settled.open()
    await scene.opened({ hosting: 1 })
    expect(scene.outcomes).toEqual(['backing 1', 'failed 2', 'opened 1'])
  })

  async function failedBackup(): Promise<Scene> {
    const scene = new Scene()
    await scene.replicas.back(backupPlace())
    scene.backup.options.onFailure(new Error('its disk failed'))
    await until(() => scene.outcomes.includes('failed 1'))
    return scene
  }
})
