/**
 * How many pages one transaction of LMDB may take at most from behind the last page in use.
 *
 * LMDB never overwrites a page that is in use: it copies each page that a transaction touches, once.
 * Pages that were freed before may serve for the copies, but readers and flushes under way can forbid
 * it, so none is counted on. That makes, for each tree of the environment:
 *
 * - leaves touched: one for each row put; two for each removed, as a leaf that becomes nearly empty is
 *   merged with its neighbour; no more than there are;
 * - leaves added by splits: no more than one for each row put; and as a split leaves halves, each
 *   touched leaf is split twice at most (that the second does not suffice takes a page of tiny rows
 *   beside huge ones), and the new bytes fill a third of each further leaf at least;
 * - branches touched: above each leaf one for each level, and its neighbour; no more than there are;
 * - branches added: a new leaf, or one that begins with another key now, needs a row in its branch,
 *   with that key; these rows fill a third of each branch, too, and the root may get one above it;
 * - overflow pages: exactly what values take that don't fit a leaf.
 *
 * And the list of free pages, which is a tree of its own: it is rewritten whole at worst, and grows by
 * what this transaction frees.
 */
import { KEY_BYTES_MAX } from '@kv/protocol'
import { SESSION_KEY_BYTES } from '../sessions/stored-session.js'
import type { Change } from './state.js'
import { INDEX_TIME_BYTES, INDEX_VALUE_BYTES, storedBytes } from './stored-entry.js'

/** Keys of 2,048 bytes and the index's time must fit a third of a page. */
export const PAGE_BYTES = 8_192
/** What a page holds beside its header. */
const PAGE_ROOM_BYTES = PAGE_BYTES - 64
/** Larger rows have their value on pages of its own; LMDB decides so at no less than this. */
const ROW_IN_LEAF_BYTES_MAX = 4_000
/** Of a row beside its key and value: its header and place in the page, evened up. */
const ROW_OVERHEAD_BYTES = 12
/** In a leaf, of a value that is elsewhere. */
const OVERFLOW_REFERENCE_BYTES = 24
/** In the list of free pages, of a run of pages. */
const FREE_RUN_BYTES = 16
/** The tree of trees, the marks, and what the list of free pages needs for its own change. */
const CONSTANT_PAGES = 16

/** How LMDB describes a tree. */
export interface TreeStats {
  readonly treeDepth: number
  readonly treeBranchPageCount: number
  readonly treeLeafPageCount: number
  readonly overflowPages: number
}

/** What a transaction does to one tree. */
export class TreeWork {
  private puts = 0
  private removals = 0
  private leafBytes = 0
  private overflowPages = 0
  private keyBytesMax = 0

  put(keyBytes: number, valueBytes: number): void {
    this.puts += 1
    const rowBytes = ROW_OVERHEAD_BYTES + keyBytes + valueBytes
    if (keyBytes > this.keyBytesMax) this.keyBytesMax = keyBytes
    if (rowBytes <= ROW_IN_LEAF_BYTES_MAX) {
      this.leafBytes += rowBytes
      return
    }
    this.leafBytes += ROW_OVERHEAD_BYTES + keyBytes + OVERFLOW_REFERENCE_BYTES
    this.overflowPages += Math.ceil((valueBytes + PAGE_BYTES - PAGE_ROOM_BYTES) / PAGE_BYTES)
  }

  remove(rows: number): void {
    this.removals += rows
  }

  /** Rows whose old value may have had pages of its own, which are then free. */
  get rows(): number {
    return this.puts + this.removals
  }

  pagesMax(stats: TreeStats): number {
    if (this.rows === 0) return 0
    const { treeDepth, treeBranchPageCount, treeLeafPageCount } = stats
    const touched = Math.min(this.puts + 2 * this.removals, treeLeafPageCount)
    const filled = Math.ceil((3 * this.leafBytes) / PAGE_ROOM_BYTES)
    const added = Math.min(this.puts, 2 * touched + filled)
    const levels = Math.max(0, treeDepth - 1)
    const branches = Math.min(2 * touched * levels, treeBranchPageCount)
    // The keys that are in branches already are of another length, perhaps.
    const meanRowBytes = (PAGE_ROOM_BYTES * treeBranchPageCount) / Math.max(1, treeLeafPageCount)
    const rowBytes = ROW_OVERHEAD_BYTES + this.keyBytesMax + meanRowBytes
    const moved = Math.min(this.removals, touched)
    const branchesAdded = Math.ceil((3 * (added + moved) * rowBytes) / PAGE_ROOM_BYTES)
    return touched + added + branches + branchesAdded + treeDepth + 1 + this.overflowPages
  }
}

export interface TransactionWork {
  readonly entries: TreeWork
  readonly index: TreeWork
  readonly sessions: TreeWork
}

/** `staleRows` are the rows that go from the expiry index. */
export function workOf(
  changes: readonly Change[],
  staleRows: number,
  { rows, removed }: { readonly rows: readonly Buffer[]; readonly removed: number },
): TransactionWork {
  const entries = new TreeWork()
  const index = new TreeWork()
  const sessions = new TreeWork()
  for (const { key, held } of changes) {
    if (held.memory === undefined) {
      entries.remove(1)
      continue
    }
    // Measured exactly, all keys would cost a tenth of what it takes to store them.
    const keyBytes = Math.min(3 * key.length, KEY_BYTES_MAX)
    entries.put(keyBytes, storedBytes(held))
    if (held.expiresAt !== 0) index.put(INDEX_TIME_BYTES + keyBytes, INDEX_VALUE_BYTES)
  }
  index.remove(staleRows)
  for (const row of rows) sessions.put(SESSION_KEY_BYTES, row.length)
  sessions.remove(removed)
  return { entries, index, sessions }
}

/** Of a whole transaction; `free` describes the list of free pages. */
export function pagesMax(
  trees: readonly { readonly work: TreeWork; readonly stats: TreeStats }[],
  free: TreeStats,
): number {
  let pages = CONSTANT_PAGES
  let freedRuns = 0
  for (const { work, stats } of trees) {
    pages += work.pagesMax(stats)
    freedRuns += work.rows
  }
  const { treeLeafPageCount, treeBranchPageCount, overflowPages } = free
  const rewritten = 2 * (treeLeafPageCount + treeBranchPageCount + overflowPages)
  return pages + rewritten + Math.ceil(((pages + freedRuns) * FREE_RUN_BYTES) / PAGE_ROOM_BYTES)
}
