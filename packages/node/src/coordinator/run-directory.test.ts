import { chmod, mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { RunDirectory } from './run-directory.js'

const IDENTITY = 'cluster of the test'

let parent: string

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'kv-run-'))
})

afterEach(() => rm(parent, { recursive: true }))

describe.skipIf(process.platform === 'win32')('run directory', () => {
  test('the same node → the same directory, for its owner alone, without old sockets', async () => {
    const first = await RunDirectory.open(IDENTITY, parent)
    expect((await stat(first.path)).mode & 0o777).toBe(0o700)
    await writeFile(first.addressFor(1), '')
    const second = await RunDirectory.open(IDENTITY, parent)
    expect(second.path).toBe(first.path)
    expect(await readdir(second.path)).toEqual([])
    expect((await RunDirectory.open('another', parent)).path).not.toBe(first.path)
  })

  test('each process → an address of its own, short enough for a socket', async () => {
    const directory = await RunDirectory.open(IDENTITY, parent)
    const addresses = [directory.addressFor(1), directory.addressFor(1), directory.addressFor(256)]
    expect(new Set(addresses).size).toBe(3)
    for (const address of addresses) expect(Buffer.byteLength(address)).toBeLessThanOrEqual(100)
  })

  test('a place with a long name → a shorter one is taken', async () => {
    const far = join(parent, 'x'.repeat(80))
    const directory = await RunDirectory.open(`${IDENTITY} ${parent}`, far)
    expect(Buffer.byteLength(directory.addressFor(1))).toBeLessThanOrEqual(100)
    await directory.close()
  })

  test('others may enter it, or it is a link → left alone, another is taken', async () => {
    const { path } = await RunDirectory.open(IDENTITY, parent)
    await chmod(path, 0o755)
    const second = await RunDirectory.open(IDENTITY, parent)
    expect(second.path).toBe(`${path}-1`)
    await rm(second.path, { recursive: true })
    await mkdir(join(parent, 'elsewhere'), { mode: 0o700 })
    await symlink(join(parent, 'elsewhere'), second.path)
    expect((await RunDirectory.open(IDENTITY, parent)).path).toBe(`${path}-2`)
  })

  test('closed → nothing is left', async () => {
    const directory = await RunDirectory.open(IDENTITY, parent)
    await writeFile(directory.addressFor(1), '')
    await directory.forget(directory.addressFor(2))
    await directory.close()
    expect(await readdir(parent)).toEqual([])
  })
})
