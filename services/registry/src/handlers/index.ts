import { RegistryService } from '@millrace/contracts/registry';
import { type Implementation, implement } from '@millrace/rpc';
import type { Registry } from '../registry.ts';
import { aliasHandlers } from './aliases.ts';
import { evaluationHandlers } from './evaluations.ts';
import { gateHandlers } from './gates.ts';
import { lineageService } from './lineage.ts';
import { modelHandlers } from './models.ts';
import { uploadHandlers } from './upload.ts';
import { versionHandlers } from './versions.ts';
import { watchHandlers } from './watch.ts';

/** Everything the registry answers. */
export function implementations(registry: Registry): Implementation[] {
  return [
    implement(RegistryService, {
      ...modelHandlers(registry),
      ...uploadHandlers(registry),
      ...versionHandlers(registry),
      ...aliasHandlers(registry),
      ...evaluationHandlers(registry),
      ...gateHandlers(registry),
      ...watchHandlers(registry),
    }),
    lineageService(registry),
  ];
}
