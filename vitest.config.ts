import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const protocolSource = fileURLToPath(new URL('packages/protocol/src/index.ts', import.meta.url))

/**
 * Two projects in one run. `unit` tests live beside the code and see the sources, so they need no
 * build. `system` tests use the packages as their users get them: built, loaded by Node.js itself.
 * Children of nodes in the process of a test are as they were compiled, so that a test can put a fault
 * into a class of theirs; nodes that are processes of their own are the programs that are published.
 */
export default defineConfig({
  test: {
    maxWorkers: 2,
    reporters: ['default', './scripts/summary-reporter.mjs'],
    coverage: { include: ['packages/*/src/**/*.ts'], exclude: ['**/*.test.ts'] },
    projects: [
      {
        resolve: { alias: [{ find: /^@kv\/protocol$/, replacement: protocolSource }] },
        test: {
          name: 'unit',
          include: ['packages/*/src/**/*.test.ts'],
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'system',
          include: ['apps/*/src/**/*.test.ts', 'tests/src/**/*.test.ts'],
          testTimeout: 30_000,
          hookTimeout: 30_000,
          execArgv: ['--conditions=modules'],
          server: { deps: { external: [/\/packages\/[^/]+\/dist\//] } },
        },
      },
    ],
  },
})
