import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const protocolSource = fileURLToPath(new URL('packages/protocol/src/index.ts', import.meta.url))

const ofSystem = {
  testTimeout: 30_000,
  hookTimeout: 30_000,
  server: { deps: { external: [/\/packages\/[^/]+\/dist\//] } },
}

/**
 * Three projects in one run. `unit` tests live beside the code and see the sources, so they need no
 * build. `system` tests use the packages as their users get them: built, loaded by Node.js itself.
 * `inside` tests put faults into classes of a node: its children are then not the published program but
 * the modules that it is made of.
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
          include: ['packages/*/src/**/*.test.ts', 'benchmarks/src/**/*.test.ts'],
          exclude: ['benchmarks/src/peers/**'],
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
      {
        test: {
          ...ofSystem,
          name: 'system',
          include: [
            'apps/*/src/**/*.test.ts',
            'benchmarks/src/peers/**/*.test.ts',
            'tests/src/**/*.test.ts',
          ],
          exclude: ['tests/src/inside/**'],
        },
      },
      {
        test: {
          ...ofSystem,
          name: 'inside',
          include: ['tests/src/inside/**/*.test.ts'],
          execArgv: ['--conditions=modules'],
        },
      },
    ],
  },
})
