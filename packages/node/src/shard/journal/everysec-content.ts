/**
 * What a journal of `everysec` holds after an unclean end. Pure.
 *
 * Any of the sectors that were not synced may be missing, of any block, and old blocks may stand where
 * the newest were to be. What is certain is told by the blocks themselves (`block.ts`), and no block is
 * written over before a synced one says that it is needed no more. So, of all sound blocks in both files:
 *
 * - those from the highest `neededFrom` on count, as far as none is missing: the first that is missing
 *   or not whole ends the journal, and what follows it is what a power cut takes back;
 * - a block that is missing or not whole up to the highest `syncedThrough` is damage (P8).
 */
import { LogDamage } from '../log/errors.js'
import { BLOCK_ALIGNMENT_BYTES, decodeBlock, type Block } from './block.js'

export interface JournalFileContent {
  readonly path: string
  readonly bytes: Buffer
}

export function everysecBlocks(
  contents: readonly JournalFileContent[],
  journalId: Buffer,
): readonly Block[] {
  const found = new Map<number, Block>()
  let neededFrom = 1
  let syncedThrough = 0
  for (const { bytes } of contents) {
    for (const block of soundBlocks(bytes, journalId)) {
      found.set(block.number, block)
      neededFrom = Math.max(neededFrom, block.marks?.neededFrom ?? 0)
      syncedThrough = Math.max(syncedThrough, block.marks?.syncedThrough ?? 0)
    }
  }
  const blocks: Block[] = []
  for (let number = neededFrom; ; number += 1) {
    const block = found.get(number)
    // A bad frame of a synced block is damage of its shard alone, which whoever wants it finds out.
    const isTorn = block?.records.some(({ isSound }) => !isSound) === true && number > syncedThrough
    if (block !== undefined && !isTorn) {
      blocks.push(block)
      continue
    }
    if (number <= syncedThrough) throw new LogDamage('bad-journal-block', contents[0]!.path, 0)
    return blocks
  }
}

/** At every place where one may begin: behind one that is missing, others may follow. */
function* soundBlocks(bytes: Buffer, journalId: Buffer): Generator<Block, void, void> {
  for (let at = 0; at < bytes.length; at += BLOCK_ALIGNMENT_BYTES) {
    const block = decodeBlock(bytes, at, journalId, 'everysec')
    if (block !== undefined) yield block
  }
}
