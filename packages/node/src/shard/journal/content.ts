/**
 * What a journal holds after an unclean end: the blocks of its two files, in the order written.
 *
 * One block of a journal of `always` is unsynced at a time, so only the last one may be torn: what it lacks was
 * never acknowledged. A bad block before a good one is damage (P8), a bad frame in a good block is
 * damage of its shard. Of a journal of `everysec` many are: `everysec-content.ts`.
 *
 * So the older file is whole, and what lies behind the last block of the newer one is older still, or
 * zeros, or a block that was torn. That holds while a file comes to be used again, too: the first that is
 * written over is the head of its first block, by that of an empty block, within a sector. With the old
 * head the file is as it was, with the new one it is the newer.
 */
import type { Fsync } from '../../link/control.js'
import { LogDamage } from '../log/errors.js'
import { hasCode, type LogFileSystem } from '../log/file-system.js'
import { readWhole, withFile } from '../log/whole-io.js'
import { BLOCK_ALIGNMENT_BYTES, decodeBlock, type Block } from './block.js'
import { everysecBlocks, type JournalFileContent } from './everysec-content.js'
import { journalIdOf, journalPaths } from './names.js'

/** A writer that lives changes files once or twice more: what the log to be opened has there is needed. */
const READINGS_MAX = 3

interface JournalContent {
  readonly fsync: Fsync
  readonly id: Buffer
  readonly files: readonly [JournalFileContent, JournalFileContent]
}

/** The blocks of one file that follow each other from its start. */
interface Run {
  readonly path: string
  readonly bytes: Buffer
  readonly blocks: readonly Block[]
  readonly endBytes: number
}

/**
 * The blocks of both files that count. Rejects with `LogDamage`.
 *
 * Its writer may live, and change files after one was read and before the other is. What that leaves out
 * looks like damage; damage looks the same when it is read again.
 */
export async function readJournal(
  files: LogFileSystem,
  directory: string,
  name: string,
): Promise<readonly Block[]> {
  let content = await readContent(files, directory, name)
  for (let readings = 1; ; readings += 1) {
    try {
      return blocksIn(content)
    } catch (damage) {
      if (readings === READINGS_MAX) throw damage
      const before = content
      content = await readContent(files, directory, name)
      if (isSame(before, content)) throw damage
    }
  }
}

async function readContent(
  files: LogFileSystem,
  directory: string,
  name: string,
): Promise<JournalContent> {
  const paths = journalPaths(directory, name)
  const id = journalIdOf(name)
  if (id === undefined) throw new LogDamage('missing-journal', paths[0], 0)
  const first = await readIfThere(files, paths[0])
  if (first !== undefined) {
    return { fsync: 'always', id, files: [first, await readFile(files, paths[1])] }
  }
  const others = journalPaths(directory, name, 'everysec')
  const begun = await readIfThere(files, others[0])
  if (begun === undefined) throw new LogDamage('missing-journal', paths[0], 0)
  return { fsync: 'everysec', id, files: [begun, await readFile(files, others[1])] }
}

function isSame(one: JournalContent, other: JournalContent): boolean {
  return one.files.every(({ bytes }, index) => bytes.equals(other.files[index]!.bytes))
}

function blocksIn({ fsync, id, files }: JournalContent): readonly Block[] {
  if (fsync === 'everysec') return everysecBlocks(files, id)
  const runs = files.map(({ path, bytes }) => runOf(path, bytes, id))
  const [older, newer] = runs.toSorted((one, other) => firstNumber(one) - firstNumber(other))
  return blocksOf(older!, newer!, id)
}

async function readFile(files: LogFileSystem, path: string): Promise<JournalFileContent> {
  const content = await readIfThere(files, path)
  if (content === undefined) throw new LogDamage('missing-journal', path, 0)
  return content
}

async function readIfThere(
  files: LogFileSystem,
  path: string,
): Promise<JournalFileContent | undefined> {
  try {
    const file = await files.open(path, 'read')
    const bytes = await withFile(file, async () => readWhole(file, 0, await file.size()))
    return { path, bytes }
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

function runOf(path: string, bytes: Buffer, id: Buffer): Run {
  const blocks: Block[] = []
  let endBytes = 0
  for (;;) {
    const block = decodeBlock(bytes, endBytes, id)
    const before = blocks.at(-1)
    if (block === undefined) break
    if (before !== undefined && block.number !== before.number + 1) break
    blocks.push(block)
    endBytes += block.paddedBytes
  }
  return { path, bytes, blocks, endBytes }
}

/** A file without a valid first block has not been used, or it is damaged. */
function firstNumber({ blocks }: Run): number {
  return blocks[0]?.number ?? 0
}

function blocksOf(older: Run, newer: Run, id: Buffer): readonly Block[] {
  const last = newer.blocks.at(-1)?.number ?? 0
  for (const run of [older, newer]) {
    const stray = blockAfter(run, last, id)
    if (stray !== undefined) throw new LogDamage('bad-journal-block', run.path, run.endBytes)
  }
  if (isGapBetween(older.blocks.at(-1), newer.blocks[0])) {
    throw new LogDamage('bad-journal-block', older.path, older.endBytes)
  }
  return withoutTear(older.blocks.concat(newer.blocks))
}

/** A file that begins with an empty block follows the other one, which is there then. */
function isGapBetween(last: Block | undefined, next: Block | undefined): boolean {
  if (last !== undefined) return last.number + 1 !== next?.number
  // A version before this one began its files with frames, and tore the first head of the other one.
  return next?.records.length === 0
}

function withoutTear(blocks: readonly Block[]): readonly Block[] {
  const last = blocks.at(-1)
  if (last === undefined) return blocks
  const records = last.records.filter((record) => record.isSound)
  return blocks.with(-1, { ...last, records })
}

/** A block written later than `number` that lies behind the run's end: something before it is bad. */
function blockAfter({ bytes, endBytes }: Run, number: number, id: Buffer): Block | undefined {
  for (let at = endBytes; at < bytes.length; at += BLOCK_ALIGNMENT_BYTES) {
    const block = decodeBlock(bytes, at, id)
    if (block !== undefined && block.number > number) return block
  }
  return undefined
}
