/**
 * A look at the head of LMDB's data file before LMDB sees it: lmdb 3.5.6 ends the process on a
 * file that is not its own, and damage must end the replica only (P8).
 */
import { closeSync, openSync, readSync } from 'node:fs'
import { StateDamage } from './stored-entry.js'

const MAGIC = 0xbeef_c0de
const FORMAT_VERSION = 2
/** Offsets in a header page; there are two, the newer one counts. */
const MAGIC_OFFSET = 24
const VERSION_OFFSET = 28
const PAGE_BYTES_OFFSET = 48

/** Throws `StateDamage` unless the file is absent, empty (a new state) or begins as LMDB's do. */
export function checkDataFile(path: string, pageBytes: number): void {
  const head = Buffer.alloc(2 * pageBytes)
  const length = readHead(path, head)
  if (length === 0) return
  const isSound =
    length === head.length && [0, pageBytes].every((at) => isHeader(head, at, pageBytes))
  if (!isSound) throw new StateDamage(`${path} does not begin like a stored state`)
}

function readHead(path: string, target: Buffer): number {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0
    throw error
  }
  try {
    return readSync(file, target, 0, target.length, 0)
  } finally {
    closeSync(file)
  }
}

function isHeader(head: Buffer, start: number, pageBytes: number): boolean {
  return (
    head.readUInt32LE(start + MAGIC_OFFSET) === MAGIC &&
    head.readUInt32LE(start + VERSION_OFFSET) === FORMAT_VERSION &&
    head.readUInt32LE(start + PAGE_BYTES_OFFSET) === pageBytes
  )
}
