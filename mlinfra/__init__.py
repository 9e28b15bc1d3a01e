"""mlinfra: plan and apply ML platforms from one blueprint."""

__version__ = "0.1.0"
