import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository's root folder. */
export const root = fileURLToPath(new URL('..', import.meta.url))

const children = (parent) =>
  readdirSync(join(root, parent), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(root, parent, entry.name))
    .sort()

/** The root and every folder that pnpm-workspace.yaml names, as absolute paths. */
export function workspaceFolders() {
  const single = ['tests', 'benchmarks'].map((name) => join(root, name))
  return [root, ...children('packages'), ...children('apps'), ...single]
}
