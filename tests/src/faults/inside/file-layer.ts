/**
 * Every call by which logs, journals and the topology reach the disk, handed to interceptors before
 * it is made: they may hold it back, make it fail, cut it short, or end the process around it. LMDB
 * makes its calls by itself; they are not seen here.
 */
import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { basename, dirname } from 'node:path'
import type { Method, Methods } from './built.js'
import { classOf, exportOf, prototypeOf, replace } from './built.js'

export type FileOperation = 'open' | 'write' | 'sync' | 'rename' | 'unlink' | 'syncDirectory'

/** What a file is to the node. One that is renamed is what its new name says. */
export type FileTarget =
  | 'journal'
  | 'segment'
  | 'temporary'
  | 'mark'
  | 'binding'
  /** Room made in the file of a stored state, before LMDB writes there. */
  | 'state'
  | 'topology'
  | 'directory'
  /** A snapshot of the only copy, in a file, and the directory of such files. */
  | 'snapshot'
  | 'snapshots'
  /** What is damaged, and moved out of the way. */
  | 'aside'
  /** A copy out of whose place one built anew comes, and a copy or state that was built anew. */
  | 'replaced'
  | 'rebuilt'
  | 'other'

export interface FileCall {
  readonly operation: FileOperation
  readonly target: FileTarget
  readonly path: string
  /** A log in this directory is being opened at the moment. */
  readonly isOpening: boolean
  /** The file existed when it was opened: each write to it is durable when it resolves. */
  readonly isDurable: boolean
}

/** Makes the call by `proceed`, or does not. `part` is how much of a write is to be written. */
export type Interceptor = (
  call: FileCall,
  proceed: (part?: number) => Promise<unknown>,
) => Promise<unknown>

interface OpenFile {
  path: string
  readonly isDurable: boolean
}

interface LogFile {
  write(source: Buffer, offset: number, length: number, position: number): Promise<number>
  read(target: Buffer, offset: number, length: number, position: number): Promise<number>
  sync(): Promise<void>
  size(): Promise<number>
  close(): Promise<void>
}

interface LogFileSystem {
  open(path: string, mode: 'read' | 'create' | 'durable' | 'write'): Promise<LogFile>
  rename(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  syncDirectory(path: string): Promise<void>
}

const opening = new Map<string, number>()
const openFiles = new Set<OpenFile>()
let chain: readonly Interceptor[] = []

function through<Result>(
  operation: FileOperation,
  { path, isDurable }: OpenFile,
  real: (part?: number) => Promise<Result>,
  target: FileTarget = operation === 'syncDirectory' ? directoryTargetOf(path) : targetOf(path),
): Promise<Result> {
  const isOpening = opening.has(operation === 'syncDirectory' ? path : dirname(path))
  const call: FileCall = { operation, target, path, isOpening, isDurable }
  let proceed: (part?: number) => Promise<unknown> = real
  for (const interceptor of chain.toReversed()) {
    const inner = proceed
    proceed = (part) => interceptor(call, (own) => inner(own ?? part))
  }
  return proceed() as Promise<Result>
}

function directoryTargetOf(path: string): FileTarget {
  return basename(path) === 'snapshots' ? 'snapshots' : 'directory'
}

export function targetOf(path: string): FileTarget {
  const name = basename(path)
  if (name.endsWith('.journal')) return 'journal'
  if (name.endsWith('.log')) return 'segment'
  if (name.endsWith('.tmp')) return 'temporary'
  if (name.endsWith('.bound')) return 'binding'
  if (name === 'unfinished' || name.endsWith('.snapshot')) return 'snapshot'
  if (name === 'closed') return 'mark'
  if (name === 'data.mdb') return 'state'
  return /^(?:topology|node)\.json(?:\.new)?$/.test(name) ? 'topology' : 'other'
}

/** For a child: its logs and journals. */
export async function installFileLayer(interceptors: readonly Interceptor[]): Promise<void> {
  chain = interceptors
  const files = (await exportOf('shard/log/file-system.js', 'nodeFileSystem')) as LogFileSystem
  for (const name of ['open', 'rename', 'unlink', 'syncDirectory']) {
    if (!(name in files)) throw new Error(`the file system of the log has no ${name}`)
  }
  const real = { ...files }
  files.open = async (path, mode) => {
    const opened: OpenFile = { path, isDurable: mode === 'durable' }
    // Reading is not disturbed: what is read is judged by what it is.
    if (mode === 'read') return real.open(path, mode)
    return tapped(await through('open', opened, () => real.open(path, mode)), opened)
  }
  files.rename = async (from, to) => {
    await through('rename', { path: to, isDurable: false }, () => real.rename(from, to))
    for (const file of openFiles) if (file.path === from) file.path = to
  }
  files.unlink = (path) => through('unlink', { path, isDurable: false }, () => real.unlink(path))
  files.syncDirectory = (path) =>
    through('syncDirectory', { path, isDurable: false }, () => real.syncDirectory(path))
  tapMoves()
  replace(await classOf('shard/log/log.js', 'Log'), 'open', (real) =>
    whileOpening(real, (options) => (options as { directory: string }).directory),
  )
  replace(await prototypeOf('shard/journal/journals.js', 'Journals'), 'framesOf', (real) =>
    whileOpening(real, (_shard, directory) => directory as string),
  )
}

/** What a child moves and removes by itself, past the file system of the log. */
function tapMoves(): void {
  const disk = fs as unknown as Methods
  replace(disk, 'rename', (real) => (from, to) => {
    const move = (): Promise<unknown> => real.call(fs, from, to) as Promise<unknown>
    const target = moveTargetOf(String(from), String(to))
    if (target === undefined) return move()
    return through('rename', { path: String(to), isDurable: false }, move, target)
  })
  replace(disk, 'unlink', (real) => (path) => {
    const remove = (): Promise<unknown> => real.call(fs, path) as Promise<unknown>
    if (targetOf(String(path)) !== 'snapshot') return remove()
    return through('unlink', { path: String(path), isDurable: false }, remove)
  })
  syncBuiltinESMExports()
}

function moveTargetOf(from: string, to: string): FileTarget | undefined {
  if (/\.damaged-\d+$/.test(to)) return 'aside'
  if (to.endsWith('.replaced')) return 'replaced'
  return /[.-]building$/.test(from) ? 'rebuilt' : undefined
}

function whileOpening(real: Method, directoryOf: (...args: unknown[]) => string): Method {
  return async function opened(this: unknown, ...args) {
    const directory = directoryOf(...args)
    opening.set(directory, (opening.get(directory) ?? 0) + 1)
    try {
      return await real.apply(this, args)
    } finally {
      const left = (opening.get(directory) ?? 1) - 1
      if (left === 0) opening.delete(directory)
      else opening.set(directory, left)
    }
  }
}

function tapped(file: LogFile, opened: OpenFile): LogFile {
  openFiles.add(opened)
  return {
    write: (source, offset, length, position) =>
      through('write', opened, (part = length) =>
        file.write(source, offset, Math.min(part, length), position),
      ),
    read: (target, offset, length, position) => file.read(target, offset, length, position),
    sync: () => through('sync', opened, () => file.sync()),
    size: () => file.size(),
    close: () => {
      openFiles.delete(opened)
      return file.close()
    },
  }
}

/** For a coordinator: its records on each volume. */
export function installTopologyFileLayer(interceptors: readonly Interceptor[]): void {
  chain = interceptors
  const disk = fs as unknown as Methods
  replace(disk, 'open', (real) => async (path, ...rest) => {
    const target = targetOf(String(path))
    const handle = (await real.call(fs, path, ...rest)) as Methods
    const opened: OpenFile = { path: String(path), isDurable: false }
    if (target === 'topology') {
      replace(handle, 'writeFile', (write) => (text) => {
        return through('write', opened, (part) => {
          const whole = text as string
          const given = part === undefined ? whole : whole.slice(0, part)
          return write.call(handle, given) as Promise<unknown>
        })
      })
    }
    if (target === 'topology' || rest[0] === 'r') {
      const operation = target === 'topology' ? 'sync' : 'syncDirectory'
      replace(handle, 'sync', (sync) => () => {
        return through(operation, opened, () => sync.call(handle) as Promise<unknown>)
      })
    }
    return handle
  })
  replace(disk, 'rename', (real) => (from, to) => {
    const opened: OpenFile = { path: String(to), isDurable: false }
    return through('rename', opened, () => real.call(fs, from, to) as Promise<unknown>)
  })
}
