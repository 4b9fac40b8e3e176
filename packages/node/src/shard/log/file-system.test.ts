import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { nodeFileSystem } from './file-system.js'
import { Log } from './log.js'
import type { LogOptions } from './options.js'
import { append, describe as text, framesFrom } from './testing/log-fixture.js'

let directory = ''

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kv-log-'))
})

afterEach(async () => {
  await rm(directory, { recursive: true })
})

describe('file system of Node.js', () => {
  test('a created file → takes writes anywhere, reads back, knows its size', async () => {
    const path = join(directory, 'file')
    const file = await nodeFileSystem.open(path, 'create')
    expect(await file.write(Buffer.from('-abc-'), 1, 3, 10)).toBe(3)
    await file.sync()
    expect(await file.size()).toBe(13)
    await file.close()
    const reopened = await nodeFileSystem.open(path, 'durable')
    await reopened.write(Buffer.from('z'), 0, 1, 11)
    const target = Buffer.alloc(8)
    expect(await reopened.read(target, 1, 7, 10)).toBe(3)
    expect(target.toString('latin1', 1, 4)).toBe('azc')
    expect(await reopened.read(target, 0, 8, 13)).toBe(0)
    await reopened.close()
  })

  test('names → can be made, changed, listed, removed and synced', async () => {
    const inner = join(directory, 'inner')
    await nodeFileSystem.makeDirectory(inner)
    await nodeFileSystem.makeDirectory(inner)
    const file = await nodeFileSystem.open(join(inner, 'a'), 'create')
    await file.close()
    await nodeFileSystem.rename(join(inner, 'a'), join(inner, 'b'))
    await nodeFileSystem.syncDirectory(inner)
    expect(await nodeFileSystem.readDirectory(inner)).toEqual(['b'])
    await nodeFileSystem.unlink(join(inner, 'b'))
    expect(await nodeFileSystem.readDirectory(inner)).toEqual([])
  })

  test('what is not there, or there already → rejects with the code of the system', async () => {
    const path = join(directory, 'file')
    await expect(nodeFileSystem.open(path, 'durable')).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(nodeFileSystem.makeDirectory(join(path, 'x'))).rejects.toMatchObject({
      code: 'ENOENT',
    })
    const file = await nodeFileSystem.open(path, 'create')
    await file.close()
    await expect(nodeFileSystem.open(path, 'create')).rejects.toMatchObject({ code: 'EEXIST' })
    await expect(file.sync()).rejects.toMatchObject({ code: 'EBADF' })
  })
})

describe('log on a real disk', () => {
  test('the whole life of a log', async () => {
    const options: LogOptions = {
      directory: join(directory, 'log'),
      clusterId: 'cluster-1',
      shard: 0,
      segmentBytesMin: 32 * 1024,
      segmentBytesMax: 64 * 1024,
    }
    const log = await Log.create(options)
    const appended: string[] = []
    for (let index = 0; index < 100; index += 1) {
      appended.push(await append(log, `${index} ${'x'.repeat(5000)}`))
    }
    expect(await framesFrom(log, 51)).toEqual(appended.slice(50))
    await log.dropBefore(31)
    const { firstRevision } = log
    expect(firstRevision).toBeGreaterThan(1)
    // Not closed: the log is opened again beside it, as after a crash.
    const frames: string[] = []
    const again = await Log.open({
      ...options,
      replayAfter: firstRevision - 1,
      onFrame: (frame) => void frames.push(text(frame)),
    })
    expect(frames).toEqual(appended.slice(firstRevision - 1))
    await append(again, 'after the crash')
    await again.close()
    log.abandon(new Error('replaced'))
    await log.close()
    const names = await readdir(options.directory)
    const sizes = await Promise.all(
      names.map(async (name) => (await stat(join(options.directory, name))).size),
    )
    expect(names.toSorted().at(-1)).toBe('closed')
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(again.bytesOnDisk + 32)
  })
})
