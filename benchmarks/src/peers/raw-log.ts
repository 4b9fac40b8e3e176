/**
 * Records appended to a file, each group synced before it is acknowledged: what durable sets can reach at
 * most on this disk, in this process. Nothing can be read from it.
 */
import { constants } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Grouping } from './grouping.js'
import type { Peer, PeerClient } from './peer.js'

/** Written in full beforehand, so that no sync has to store where its blocks are. Then begun anew. */
const FILE_BYTES = 67_108_864
/** Length, checksum, revision: what a record needs beside key and value. */
const HEADER_BYTES = 20

interface LogRecord {
  readonly key: string
  readonly value: string
}

export async function startRawLog(): Promise<Peer> {
  const directory = await mkdtemp(join(tmpdir(), 'kv-bench-'))
  const path = join(directory, 'log')
  const preallocated = await open(path, 'w')
  await preallocated.writeFile(Buffer.alloc(FILE_BYTES))
  await preallocated.sync()
  await preallocated.close()
  const file = await open(path, constants.O_WRONLY | constants.O_DSYNC)
  const client = clientOf(file)
  return {
    name: 'raw log',
    settings: 'in this process, groups appended to a preallocated file with O_DSYNC; sets only',
    // The clients of one process share it.
    connect: () => Promise.resolve(client),
    stop: async () => {
      await file.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

function clientOf(file: FileHandle): PeerClient {
  let position = 0
  const records = new Grouping<LogRecord, undefined>(async (group) => {
    const bytes = encode(group)
    if (position + bytes.length > FILE_BYTES) position = 0
    await file.write(bytes, 0, bytes.length, position)
    position += bytes.length
    return []
  })
  return {
    get: (key) => Promise.reject(new Error(`the raw log takes sets only, ${key} can't be read`)),
    set: (key, value) => records.add({ key, value }),
    close: () => Promise.resolve(),
  }
}

/** Keys and values of a run are ASCII. */
function encode(group: readonly LogRecord[]): Buffer {
  const length = group.reduce((sum, { key, value }) => sum + bytesOf(key, value), 0)
  if (length > FILE_BYTES) throw new Error(`a group of ${length} bytes exceeds ${FILE_BYTES}`)
  const bytes = Buffer.allocUnsafe(length)
  let at = 0
  for (const { key, value } of group) {
    bytes.fill(0, at, at + HEADER_BYTES)
    bytes.write(key, at + HEADER_BYTES, 'latin1')
    bytes.write(value, at + HEADER_BYTES + key.length, 'latin1')
    at += bytesOf(key, value)
  }
  return bytes
}

function bytesOf(key: string, value: string): number {
  return HEADER_BYTES + key.length + value.length
}
