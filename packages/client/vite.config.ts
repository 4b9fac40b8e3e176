/**
 * The client for pages: `dist/browser.js` and all it imports as one small file beside it, which is
 * what bundlers and pages get (`docs/adr/0020-the-client-for-pages-is-one-file.md`).
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Plugin } from 'vite'
import { defineConfig } from 'vite'
import type { Sources } from './kept-names.js'
import { keptNames } from './kept-names.js'

const inDist = (path: string): string => fileURLToPath(new URL(`dist/${path}`, import.meta.url))
const inProtocol = (path: string): string =>
  fileURLToPath(new URL(`../protocol/dist/${path}`, import.meta.url))

export default defineConfig(() => ({
  logLevel: 'warn',
  plugins: [sources()],
  // There is no Buffer in a page, so what would use one is left out.
  define: { 'globalThis.Buffer': 'undefined' },
  build: {
    outDir: inDist(''),
    emptyOutDir: false,
    target: 'es2022',
    sourcemap: true,
    modulePreload: false,
    rolldownOptions: {
      input: inDist('browser.js'),
      preserveEntrySignatures: 'strict',
      optimization: { inlineConst: { mode: 'all', pass: 3 } },
      output: {
        entryFileNames: 'browser.min.js',
        minify: {
          compress: { target: 'es2022' },
          mangle: { toplevel: true },
          codegen: { removeWhitespace: true },
          mangleProps: { include: /./, reserved: keptNames(sourcesOfNames()) },
        },
      },
    },
  },
}))

/** So that the source map leads to what was written, not to what the compiler made of it. */
function sources(): Plugin {
  const read = (path: string): string => readFileSync(path, 'utf8')
  return {
    name: 'sources',
    load: (id) => (id.endsWith('.js') ? { code: read(id), map: read(`${id}.map`) } : undefined),
  }
}

function sourcesOfNames(): Sources {
  return {
    entry: inDist('browser.js'),
    packages: { '@kv/protocol': inProtocol('browser.js') },
    declarations: declarations(),
  }
}

/** Of everything that `browser.ts` exports. */
function declarations(): string[] {
  const own = ['atomic-batch', 'events', 'keyspace', 'kv-client', 'namespace', 'schema', 'settings']
  const nested = ['connection/transport-browser', 'lock/lock']
  const ofProtocol = ['errors', 'topology']
  return [
    ...[...own, ...nested].map((name) => inDist(`${name}.d.ts`)),
    ...ofProtocol.map((name) => inProtocol(`${name}.d.ts`)),
  ]
}
