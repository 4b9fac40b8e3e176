/** Keeps what is damaged for whoever wants to look at it, beside what replaces it. */
import { readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/**
 * Moves a directory to `<directory>.damaged-<n>` and returns that name. One such is kept: a disk that
 * damages again and again must not be filled by it.
 */
export async function moveAside(directory: string): Promise<string> {
  const parent = dirname(directory)
  const prefix = `${basename(directory)}.damaged-`
  const former = (await readdir(parent)).filter((name) => name.startsWith(prefix))
  const numbers = former.map((name) => Number(name.slice(prefix.length))).filter(Number.isInteger)
  const aside = join(parent, `${prefix}${Math.max(0, ...numbers) + 1}`)
  await rename(directory, aside)
  for (const name of former) await rm(join(parent, name), { recursive: true, force: true })
  return aside
}
