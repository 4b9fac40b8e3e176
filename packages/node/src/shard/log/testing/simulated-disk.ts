/**
 * A disk in memory that fails on demand, for tests. It keeps apart what a running system sees and
 * what survives a power cut:
 *
 * - bytes written are seen at once and survive only once synced; at a power cut any of the unsynced
 *   sectors may have been written, in any order, and so may those of a durable write that is under way;
 * - names survive once their directory was synced; at a cut any of the later changes may have.
 *
 * Programs use the disk through a mount. After `kill` or `cutPower` the old mounts never answer
 * again, like system calls of a process that is gone.
 */
import { dirname } from 'node:path'
import type { LogFile, LogFileSystem, OpenMode } from '../file-system.js'

const SECTOR_BYTES = 512
/** What some disks write as one, and a system's cache hands to any of them. */
const PAGE_SECTORS = 8

export interface DiskOperation {
  readonly kind: 'open' | 'write' | 'read' | 'sync' | 'rename' | 'unlink' | 'syncDirectory'
  readonly path: string
  readonly mode?: OpenMode
}

/**
 * - `refuse`: nothing happens but the error;
 * - `lose`: the error, after which the bytes are seen and look clean but never reach the disk;
 * - `short`: a read or write that stops after so many bytes;
 * - `hang`: the call never returns; a write may still reach the disk;
 * - `wait`: the call returns, but late.
 */
export type DiskFault =
  | { readonly kind: 'refuse'; readonly code: string }
  | { readonly kind: 'lose'; readonly code: string }
  | { readonly kind: 'short'; readonly bytes: number }
  | { readonly kind: 'hang' }
  | { readonly kind: 'wait'; readonly until: Promise<void> }

interface Inode {
  seen: Buffer
  durable: Buffer
  /** Sectors that a sync would write. */
  readonly dirty: Set<number>
}

type NameChange = {
  readonly directory: string
  readonly apply: (names: Map<string, Inode>) => void
}

export class SimulatedDisk {
  /** Asked before every operation; the fault it returns happens. */
  onOperation: (operation: DiskOperation) => DiskFault | undefined = () => undefined
  #seen = new Map<string, Inode>()
  readonly #durable = new Map<string, Inode>()
  #unsyncedChanges: NameChange[] = []
  #boot = 0

  /** The file system as a newly started process sees it. */
  mount(): LogFileSystem {
    const boot = this.#boot
    const enter = async (operation?: DiskOperation): Promise<DiskFault | undefined> => {
      await Promise.resolve()
      if (boot !== this.#boot) return forever()
      const fault = operation === undefined ? undefined : this.onOperation(operation)
      if (fault?.kind === 'refuse') throw systemError(fault.code)
      if (fault?.kind === 'wait') await fault.until
      if (fault?.kind === 'hang' && operation?.kind !== 'write') return forever()
      return fault
    }
    return {
      open: async (path, mode) => {
        await enter({ kind: 'open', path, mode })
        return new SimulatedFile(path, mode, this.#openInode(path, mode), enter)
      },
      rename: async (from, to) => {
        await enter({ kind: 'rename', path: to })
        const inode = this.#inode(from)
        this.#change(to, (names) => names.set(to, inode).delete(from))
      },
      unlink: async (path) => {
        await enter({ kind: 'unlink', path })
        this.#inode(path)
        this.#change(path, (names) => names.delete(path))
      },
      readDirectory: async (path) => {
        await enter()
        const inside = this.paths().filter((each) => each.startsWith(`${path}/`))
        return [...new Set(inside.map((each) => each.slice(path.length + 1).split('/', 1)[0]!))]
      },
      makeDirectory: async () => {
        await enter()
      },
      syncDirectory: async (path) => {
        await enter({ kind: 'syncDirectory', path })
        this.#syncDirectory(path)
      },
    }
  }

  /** Ends every process. What it wrote stays, synced or not. */
  kill(): void {
    this.#boot += 1
  }

  /** Ends every process and forgets what was not synced, except what `random` lets through. */
  cutPower(random: () => number): void {
    this.kill()
    for (const change of this.#unsyncedChanges) if (random() < 0.5) change.apply(this.#durable)
    this.#unsyncedChanges = []
    for (const inode of this.#durable.values()) {
      tear(inode, random() < 0.5 ? 1 : PAGE_SECTORS, random)
      inode.dirty.clear()
      inode.seen = Buffer.from(inode.durable)
    }
    this.#seen = new Map(this.#durable)
  }

  paths(): string[] {
    return [...this.#seen.keys()].toSorted()
  }

  /** A copy of what a process would read. */
  bytesOf(path: string): Buffer {
    return Buffer.from(this.#inode(path).seen)
  }

  /** Puts a file there, durably, whatever was there before: damage, or a file from elsewhere. */
  place(path: string, bytes: Buffer): void {
    const inode = {
      seen: Buffer.from(bytes),
      durable: Buffer.from(bytes),
      dirty: new Set<number>(),
    }
    this.#seen.set(path, inode)
    this.#durable.set(path, inode)
  }

  remove(path: string): void {
    this.#seen.delete(path)
    this.#durable.delete(path)
  }

  #inode(path: string): Inode {
    const inode = this.#seen.get(path)
    if (inode === undefined) throw systemError('ENOENT')
    return inode
  }

  #openInode(path: string, mode: OpenMode): Inode {
    if (mode !== 'create') return this.#inode(path)
    if (this.#seen.has(path)) throw systemError('EEXIST')
    const inode = { seen: Buffer.alloc(0), durable: Buffer.alloc(0), dirty: new Set<number>() }
    this.#change(path, (names) => names.set(path, inode))
    return inode
  }

  #change(path: string, apply: NameChange['apply']): void {
    apply(this.#seen)
    this.#unsyncedChanges.push({ directory: dirname(path), apply })
  }

  #syncDirectory(path: string): void {
    const isHere = (change: NameChange): boolean => change.directory === path
    for (const change of this.#unsyncedChanges.filter(isHere)) change.apply(this.#durable)
    this.#unsyncedChanges = this.#unsyncedChanges.filter((change) => !isHere(change))
  }
}

class SimulatedFile implements LogFile {
  readonly #path: string
  readonly #mode: OpenMode
  readonly #inode: Inode
  readonly #enter: (operation?: DiskOperation) => Promise<DiskFault | undefined>

  constructor(
    path: string,
    mode: OpenMode,
    inode: Inode,
    enter: (operation?: DiskOperation) => Promise<DiskFault | undefined>,
  ) {
    this.#path = path
    this.#mode = mode
    this.#inode = inode
    this.#enter = enter
  }

  async write(source: Buffer, offset: number, length: number, position: number): Promise<number> {
    const fault = await this.#enter({ kind: 'write', path: this.#path, mode: this.#mode })
    const count = fault?.kind === 'short' ? Math.min(length, fault.bytes) : length
    writeSeen(this.#inode, source.subarray(offset, offset + count), position)
    if (fault?.kind === 'hang') return forever()
    if (fault?.kind === 'lose') {
      this.#inode.dirty.clear()
      throw systemError(fault.code)
    }
    if (this.#mode !== 'durable') return count
    // On its way to the disk: a power cut now tears it.
    await this.#enter()
    syncInode(this.#inode)
    return count
  }

  async read(target: Buffer, offset: number, length: number, position: number): Promise<number> {
    const fault = await this.#enter({ kind: 'read', path: this.#path, mode: this.#mode })
    const count = fault?.kind === 'short' ? Math.min(length, fault.bytes) : length
    return this.#inode.seen.copy(target, offset, position, position + count)
  }

  async sync(): Promise<void> {
    const fault = await this.#enter({ kind: 'sync', path: this.#path, mode: this.#mode })
    if (fault?.kind === 'lose') {
      this.#inode.dirty.clear()
      throw systemError(fault.code)
    }
    syncInode(this.#inode)
  }

  async size(): Promise<number> {
    await this.#enter()
    return this.#inode.seen.length
  }

  async close(): Promise<void> {
    await this.#enter()
  }
}

function writeSeen(inode: Inode, bytes: Buffer, position: number): void {
  const end = position + bytes.length
  if (end > inode.seen.length) {
    inode.seen = Buffer.concat([inode.seen, Buffer.alloc(end - inode.seen.length)])
  }
  bytes.copy(inode.seen, position)
  for (let sector = Math.floor(position / SECTOR_BYTES); sector * SECTOR_BYTES < end; sector += 1) {
    inode.dirty.add(sector)
  }
}

/** Of every so many sectors that lie together, all of the unsynced ones get to the disk or none. */
function tear(inode: Inode, together: number, random: () => number): void {
  const kept = new Map<number, boolean>()
  for (const sector of inode.dirty) {
    const unit = Math.floor(sector / together)
    const isKept = kept.get(unit) ?? random() < 0.5
    kept.set(unit, isKept)
    if (isKept) writeBack(inode, sector)
  }
}

function syncInode(inode: Inode): void {
  for (const sector of inode.dirty) writeBack(inode, sector)
  inode.dirty.clear()
}

function writeBack(inode: Inode, sector: number): void {
  const missing = inode.seen.length - inode.durable.length
  if (missing > 0) inode.durable = Buffer.concat([inode.durable, Buffer.alloc(missing)])
  const from = sector * SECTOR_BYTES
  inode.seen.copy(inode.durable, from, from, from + SECTOR_BYTES)
}

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: simulated`), { code })
}

function forever(): Promise<never> {
  return new Promise(() => undefined)
}
