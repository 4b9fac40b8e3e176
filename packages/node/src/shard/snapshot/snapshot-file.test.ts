import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { nodeFileSystem, type LogFile, type LogFileSystem } from '../log/file-system.js'
import { encodeStored, storedBytes } from '../state/stored-entry.js'
import { storedKeyBytes, writeStoredKey } from '../state/stored-key.js'
import { inDirectory } from '../testing/directory.js'
import { textHeld } from '../testing/entries.js'
import { PageWriter, ROW_KINDS, SnapshotDamage } from './page.js'
import { finish, prepareUnfinished, snapshotFiles } from './snapshot-directory.js'
import { checkSnapshotFile, SnapshotFileReader, SnapshotFileWriter } from './snapshot-file.js'

const IDENTITY = { clusterId: 'cluster-1', shard: 5 }
const HEAD = {
  ...IDENTITY,
  takenAtMs: 1_000,
  begin: {
    start: { epoch: 2, revision: 7, checksum: 99 },
    epochs: [
      { epoch: 1, firstRevision: 1 },
      { epoch: 2, firstRevision: 6 },
    ],
    sessionFloor: 3,
  },
}
const END = { revision: 9, timeMs: 1_000, sessions: 0 }

function pageOf(keys: readonly string[], checksum: number): { page: Buffer; checksum: number } {
  const writer = new PageWriter()
  for (const key of keys) {
    const held = textHeld(`value of ${key}`)
    writer.row(ROW_KINDS.entry, storedKeyBytes(key), storedBytes(held), (target, keyAt, at) => {
      writeStoredKey(key, target, keyAt)
      encodeStored(held, target, at)
    })
  }
  return writer.finish(checksum)
}

/** A file of two pages with three entries. */
async function write(path: string): Promise<Buffer> {
  const writer = await SnapshotFileWriter.create(nodeFileSystem, path, HEAD)
  const first = pageOf(['a', 'b'], 0)
  const second = pageOf(['c'], first.checksum)
  for (const { page } of [first, second]) await writer.page(page)
  await writer.end({ ...END, entries: 3, checksum: second.checksum })
  await writer.close()
  return readFile(path)
}

/** Every file holds `bytes`. */
function holding(bytes: Buffer): LogFileSystem {
  const file = {
    read: (target: Buffer, offset: number, length: number, position: number) =>
      Promise.resolve(bytes.copy(target, offset, position, position + length)),
    size: () => Promise.resolve(bytes.length),
    close: () => Promise.resolve(),
  }
  return { ...nodeFileSystem, open: () => Promise.resolve(file as unknown as LogFile) }
}

async function check(path: string, identity = IDENTITY, files = nodeFileSystem): Promise<unknown> {
  const reader = await SnapshotFileReader.open(files, path, identity)
  try {
    return await checkSnapshotFile(reader)
  } finally {
    await reader.close()
  }
}

describe('a snapshot file', () => {
  test('what was written → is read', () =>
    inDirectory(async (directory) => {
      const path = join(directory, 'one')
      await write(path)
      expect(await check(path)).toMatchObject({ revision: 9, entries: 3 })
      const reader = await SnapshotFileReader.open(nodeFileSystem, path, IDENTITY)
      expect(reader.head).toEqual(HEAD)
      await reader.close()
    }))

  test('P8: torn anywhere, or any byte flipped, or longer → refused', () =>
    inDirectory(async (directory) => {
      const whole = await write(join(directory, 'one'))
      const refused = async (bytes: Buffer): Promise<void> => {
        await expect(check('', IDENTITY, holding(bytes))).rejects.toBeInstanceOf(SnapshotDamage)
      }
      for (let at = 0; at < whole.length; at += 1) {
        await refused(whole.subarray(0, at))
        const flipped = Buffer.from(whole)
        flipped[at]! ^= 0x11
        await refused(flipped)
      }
      await refused(Buffer.concat([whole, Buffer.alloc(1)]))
    }))

  test.each([
    ['shard', { ...IDENTITY, shard: 6 }],
    ['cluster', { ...IDENTITY, clusterId: 'cluster-2' }],
  ])('P8: of another %s → refused', (_name, identity) =>
    inDirectory(async (directory) => {
      const path = join(directory, 'one')
      await write(path)
      await expect(check(path, identity)).rejects.toThrow('it is of shard 5 of cluster cluster-1')
    }),
  )

  test('a new one → has its name when it is whole, and the older one goes', () =>
    inDirectory(async (directory) => {
      for (const revision of [7, 12]) {
        const path = await prepareUnfinished(directory)
        await write(path)
        expect(await snapshotFiles(directory)).toHaveLength(revision === 7 ? 0 : 1)
        await finish(directory, revision)
      }
      const snapshots = join(directory, 'snapshots')
      expect(await readdir(snapshots)).toEqual(['0000000000000012.snapshot'])
      // What an attempt that ended in the middle has left goes with the next.
      await writeFile(join(snapshots, 'unfinished'), 'torn')
      await prepareUnfinished(directory)
      expect(await readdir(snapshots)).toEqual(['0000000000000012.snapshot'])
    }))
})
