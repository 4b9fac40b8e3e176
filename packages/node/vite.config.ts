/**
 * The two programs of the node, `kv-node` and the child, as few files: `dist/program/`. To load each
 * module from a file of its own was half of what a process did before it could open a shard
 * (`docs/adr/0033-programs-are-few-files.md`).
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Plugin } from 'vite'
import { defineConfig } from 'vite'
import { licences } from './licences.js'

const inDist = (path: string): string => fileURLToPath(new URL(`dist/${path}`, import.meta.url))

export default defineConfig({
  logLevel: 'warn',
  plugins: [sources(), licences()],
  // Its native part is found by path.
  ssr: { noExternal: true, external: ['lmdb'] },
  build: {
    ssr: true,
    outDir: inDist('program'),
    target: 'node20',
    minify: false,
    sourcemap: true,
    rolldownOptions: {
      input: {
        'cli/main': inDist('cli/main.js'),
        'child/main': inDist('child/main.js'),
      },
      output: { entryFileNames: '[name].js', chunkFileNames: 'shared/[name].js', comments: false },
    },
  },
})

/** So that the source maps lead to what was written, not to what the compiler made of it. */
function sources(): Plugin {
  const isOurs = (id: string): boolean => id.endsWith('.js') && !id.includes('node_modules')
  const read = (path: string): string => readFileSync(path, 'utf8')
  return {
    name: 'sources',
    load: (id) => (isOurs(id) ? { code: read(id), map: read(`${id}.map`) } : undefined),
  }
}
