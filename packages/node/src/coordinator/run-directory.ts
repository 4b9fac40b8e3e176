/**
 * Where the children of a node listen for each other: a directory of local sockets, for the life of
 * one coordinator.
 *
 * It is beside the data, not in it: the path of a unix socket has about 100 bytes at most. Only its
 * owner may enter it, since who can connect can replicate; a directory of that name that is somebody
 * else's, or open to others, is left alone and another name is tried. Windows has named pipes.
 */
import { createHash } from 'node:crypto'
import { lstat, mkdir, readdir, rm, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Of a socket's path. The kernels' limits are 104 and 108 with the closing zero. */
const SOCKET_PATH_BYTES_MAX = 100

/** The longest that a name in the directory gets. */
const LONGEST_NAME = '/256-1000000.sock'

/** Names that are tried before giving up: the others belong to somebody else. */
const TRIES_MAX = 16

const OWNER_ONLY = 0o700

export class RunDirectory {
  /** Empty on Windows: pipes have no directory. */
  readonly path: string
  private readonly name: string
  private lastNumber = 0

  private constructor(path: string, name: string) {
    this.path = path
    this.name = name
  }

  /** The same for the same node; what a former coordinator left in it is removed. */
  static async open(identity: string, parent: string = tmpdir()): Promise<RunDirectory> {
    const name = `kv-${createHash('sha256').update(identity).digest('hex').slice(0, 16)}`
    if (process.platform === 'win32') return new RunDirectory('', name)
    const isShort = Buffer.byteLength(join(parent, name)) + 3 <= pathBytesMax()
    const path = await take(join(isShort ? parent : '/tmp', name))
    for (const file of await readdir(path)) await rm(join(path, file), { force: true })
    return new RunDirectory(path, name)
  }

  /** An address for the next process of the child: never the same twice. */
  addressFor(child: number): string {
    this.lastNumber += 1
    const suffix = `${child}-${this.lastNumber}`
    if (this.path === '') return `\\\\.\\pipe\\${this.name}-${process.pid}-${suffix}`
    return join(this.path, `${suffix}.sock`)
  }

  /** A process is gone and could not remove its socket. */
  async forget(address: string): Promise<void> {
    if (this.path !== '' && address !== '') await rm(address, { force: true })
  }

  async close(): Promise<void> {
    if (this.path === '') return
    for (const file of await readdir(this.path)) await rm(join(this.path, file), { force: true })
    await rmdir(this.path)
  }
}

function pathBytesMax(): number {
  return SOCKET_PATH_BYTES_MAX - LONGEST_NAME.length
}

async function take(path: string): Promise<string> {
  for (let number = 0; number < TRIES_MAX; number += 1) {
    const candidate = number === 0 ? path : `${path}-${number}`
    await mkdir(candidate, { mode: OWNER_ONLY }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
    if (await isOurs(candidate)) return candidate
  }
  throw new Error(`${path} is somebody else's, and so is every other name that was tried`)
}

async function isOurs(path: string): Promise<boolean> {
  const found = await lstat(path)
  const isPrivate = (found.mode & 0o777) === OWNER_ONLY
  return found.isDirectory() && isPrivate && found.uid === process.getuid?.()
}
