"""All resources and permissions. `infra.local` is the laptop's AWS."""
