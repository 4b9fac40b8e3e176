/**
 * One coordinator per data directory. The lock is a listening local socket: the kernel lets one
 * process have the name and takes it away when that process dies, however it dies.
 *
 * - Linux: an abstract socket named after the directory's device and inode (unix(7)), so that a
 *   link or a bind mount leads to the same lock. It leaves no file behind.
 * - Windows: a named pipe, likewise.
 * - Everywhere but Windows also a socket file in the directory. Abstract names end at the network
 *   namespace, files do not: two containers that share the volume meet here. A killed holder leaves the file behind, so one that nobody answers on is replaced. Where a socket
 *   file is not possible (some mounts, long paths) the first lock stands alone.
 */
import { createHash } from 'node:crypto'
import { stat, unlink } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import type { Server } from 'node:net'
import { join } from 'node:path'
import { KvError } from '@kv/protocol'

const LOCK_FILE = 'coordinator.sock'

export interface DirectoryLock {
  release(): Promise<void>
}

/** Rejects with `UNAVAILABLE` if another coordinator has the directory. */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  const held: Server[] = []
  try {
    const name = await kernelName(directory)
    if (name !== undefined) held.push(await hold(name))
    if (process.platform !== 'win32') {
      const file = await holdFile(join(directory, LOCK_FILE), name !== undefined)
      if (file !== undefined) held.push(file)
    }
  } catch (error) {
    await Promise.all(held.map(close))
    throw codeOf(error) === 'EADDRINUSE' ? inUse(directory) : error
  }
  return {
    release: async () => {
      await Promise.all(held.map(close))
    },
  }
}

function inUse(directory: string): KvError {
  return new KvError(
    'UNAVAILABLE',
    `${directory} is in use by another kv node: stop that one, or give this one its own directory`,
    { outcome: 'not-applied' },
  )
}

/** A name that dies with its holder, if this system has such names. */
async function kernelName(directory: string): Promise<string | undefined> {
  if (process.platform !== 'linux' && process.platform !== 'win32') return undefined
  const { dev, ino } = await stat(directory, { bigint: true })
  const hash = createHash('sha256').update(`${dev}:${ino}`).digest('hex').slice(0, 32)
  return process.platform === 'linux' ? `\0kv-node-${hash}` : `\\\\.\\pipe\\kv-node-${hash}`
}

/** `isOptional`: whether doing without is safe because another lock is held already. */
async function holdFile(path: string, isOptional: boolean): Promise<Server | undefined> {
  try {
    return await hold(path)
  } catch (error) {
    if (codeOf(error) === 'EADDRINUSE') {
      if (await isAnswered(path)) throw error
      await unlink(path)
      return hold(path)
    }
    if (isOptional) return undefined
    throw error
  }
}

function hold(name: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', reject)
    server.listen({ path: name, exclusive: true }, () => {
      server.unref()
      resolve(server)
    })
  })
}

/** Whether a process listens there: whoever is refused found what a dead one left behind. */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', (error) => resolve(codeOf(error) !== 'ECONNREFUSED'))
  })
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
  })
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code
}
