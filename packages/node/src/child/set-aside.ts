/** Keeps what is left of a damaged copy for whoever wants to look at it, beside the one that replaces it. */
import { access, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/**
 * Moves a copy's directory, if there is one, to `<directory>.damaged-<n>`. One such is kept for each
 * copy: a disk that damages again and again must not be filled by it.
 */
export async function setAside(directory: string): Promise<void> {
  try {
    await access(join(directory, 'log'))
  } catch {
    return
  }
  const parent = dirname(directory)
  const prefix = `${basename(directory)}.damaged-`
  const former = (await readdir(parent)).filter((name) => name.startsWith(prefix))
  const numbers = former.map((name) => Number(name.slice(prefix.length))).filter(Number.isInteger)
  await rename(directory, join(parent, `${prefix}${Math.max(0, ...numbers) + 1}`))
  for (const name of former) await rm(join(parent, name), { recursive: true, force: true })
}
