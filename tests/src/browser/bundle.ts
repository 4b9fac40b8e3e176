/**
 * Code as a page would load it: one minified file with everything it imports.
 */
import { fileURLToPath } from 'node:url'
import type { Rolldown } from 'vite'
import { build } from 'vite'

const TESTS = fileURLToPath(new URL('../..', import.meta.url))
const ENTRY = 'the-page'

export interface Bundle {
  readonly code: string
  /** Files and packages it was made of, as paths. */
  readonly modules: readonly string[]
}

export interface BundleOptions {
  /** Package → the file that stands in for it. */
  readonly alias?: Readonly<Record<string, string>>
}

/** `source` may import what `tests` may; what it neither uses nor exports to the page is left out. */
export async function bundleForPage(source: string, options: BundleOptions = {}): Promise<Bundle> {
  const built = await build({
    configFile: false,
    root: TESTS,
    logLevel: 'error',
    // A test runner around us would make it a build for development, with all that is for it.
    mode: 'production',
    define: { 'process.env.NODE_ENV': '"production"' },
    resolve: { alias: { ...options.alias } },
    build: {
      write: false,
      minify: true,
      target: 'es2022',
      modulePreload: false,
      chunkSizeWarningLimit: Number.MAX_SAFE_INTEGER,
      rolldownOptions: { input: ENTRY },
    },
    plugins: [
      {
        name: 'page',
        enforce: 'pre',
        resolveId: (id) => (id === ENTRY ? `${TESTS}/${ENTRY}.js` : undefined),
        load: (id) => (id.endsWith(`/${ENTRY}.js`) ? source : undefined),
      },
    ],
  })
  const { output } = (Array.isArray(built) ? built[0] : built) as Rolldown.RolldownOutput
  const [chunk, ...others] = output
  if (others.length > 0) throw new Error('a page of one file was wanted')
  return { code: chunk.code, modules: chunk.moduleIds }
}
