import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

const inDemo = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

/** The page: built into a few files that the demo serves as they are. */
export default defineConfig({
  root: inDemo('page'),
  logLevel: 'warn',
  build: {
    outDir: inDemo('dist/page'),
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: false,
    // Inlined files would need an exception from the page's own security policy.
    assetsInlineLimit: 0,
  },
})
