/** Writes the page about benchmarks and its charts. */
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Figures } from './figures.js'
import { renderMarkdown } from './markdown.js'
import { chartsOf } from './part-charts.js'

/** Into `docs`. Charts of a former run that this one does not have are removed. */
export async function writeDocuments(figures: Figures, docs: string): Promise<void> {
  const folder = join(docs, 'benchmarks')
  await mkdir(folder, { recursive: true })
  for (const name of await readdir(folder)) {
    if (name.endsWith('.svg')) await rm(join(folder, name))
  }
  for (const { file, svg } of figures.parts.flatMap((part) => chartsOf(part))) {
    await writeFile(join(folder, file), svg)
  }
  await writeFile(join(folder, 'figures.json'), `${JSON.stringify(figures, undefined, 1)}\n`)
  await writeFile(join(docs, 'benchmarks.md'), renderMarkdown(figures))
}
