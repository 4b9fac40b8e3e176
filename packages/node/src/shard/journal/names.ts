/**
 * Names of a journal and of what refers to it.
 *
 * A journal has two files in the volume's directory of journals. A log that may have frames in a
 * journal and not in its segments is *bound* to it: an empty file in the log's directory names the
 * journal and the first block that counts. The name is the whole content, so that it is never torn.
 */
import { join } from 'node:path'
import type { Fsync } from '../../link/control.js'

/** The child that writes the journal, and an id that no other journal has. */
const JOURNAL = /^(\d+)-([0-9a-f]{32})$/
const FILE = /^(.+)\.[01]\.(?:journal|everysec)$/
const BINDING = /^(.+)\.(\d+)\.bound$/

export interface Binding {
  /** Name of the journal. */
  readonly journal: string
  /** Blocks before this one hold nothing for the log. */
  readonly fromBlock: number
}

export function journalName(childId: number, id: Buffer): string {
  return `${childId}-${id.toString('hex')}`
}

export function journalIdOf(name: string): Buffer | undefined {
  const hex = JOURNAL.exec(name)?.[2]
  return hex === undefined ? undefined : Buffer.from(hex, 'hex')
}

export function isJournalOf(childId: number, name: string): boolean {
  return JOURNAL.exec(name)?.[1] === String(childId)
}

/** Who knows the files of `always` only does not find the others, and says that they are missing. */
const SUFFIX: Readonly<Record<Fsync, string>> = { always: 'journal', everysec: 'everysec' }

export function journalPaths(
  directory: string,
  name: string,
  fsync: Fsync = 'always',
): readonly [string, string] {
  const [first, second] = [0, 1].map((index) =>
    join(directory, `${name}.${index}.${SUFFIX[fsync]}`),
  )
  return [first!, second!]
}

/** The journal that a file of the directory of journals belongs to. */
export function journalOfFile(fileName: string): string | undefined {
  return FILE.exec(fileName)?.[1]
}

export function bindingName({ journal, fromBlock }: Binding): string {
  return `${journal}.${fromBlock}.bound`
}

export function bindingOf(fileName: string): Binding | undefined {
  const [, journal, fromBlock] = BINDING.exec(fileName) ?? []
  if (journal === undefined || journalIdOf(journal) === undefined) return undefined
  return { journal, fromBlock: Number(fromBlock) }
}
