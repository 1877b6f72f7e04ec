"""What the shop is made of: a line for each model, parents before children.

Each is (name, rows, parents, parts).  A parent `self` is a category tree.  Parts: n name, t text, m money, j JSON,
d moment, i image.
"""

from django.conf import settings

USERS = 40

MODELS = [
    ("Country", 60, [], "n"),
    ("Currency", 12, [], "n"),
    ("TaxClass", 4, [], "n"),
    ("TaxRate", 60, ["TaxClass", "Country"], "m"),
    ("Warehouse", 4, ["Country"], "nt"),
    ("Carrier", 5, [], "n"),
    ("ShippingMethod", 12, ["Carrier"], "nm"),
    ("ShippingZone", 6, [], "nj"),
    ("ShippingRate", 72, ["ShippingMethod", "ShippingZone", "Currency"], "m"),
    ("Brand", 20, [], "nti"),
    ("Category", 40, ["self"], "nti"),
    ("Collection", 10, [], "nt"),
    ("Tag", 40, [], "n"),
    ("Product", 180, ["Brand", "Category", "TaxClass"], "ntmjdi"),
    ("ProductImage", 160, ["Product"], "ni"),
    ("Attribute", 12, [], "n"),
    ("AttributeValue", 80, ["Attribute"], "n"),
    ("Variant", 320, ["Product"], "nmj"),
    ("VariantValue", 220, ["Variant", "AttributeValue"], ""),
    ("Price", 280, ["Variant", "Currency"], "m"),
    ("Stock", 320, ["Variant", "Warehouse"], "d"),
    ("StockMovement", 120, ["Stock"], "td"),
    ("Supplier", 12, ["Country"], "nt"),
    ("SupplierProduct", 60, ["Supplier", "Product"], "m"),
    ("PurchaseOrder", 20, ["Supplier", "Warehouse"], "dm"),
    ("PurchaseLine", 60, ["PurchaseOrder", "Variant"], "m"),
    ("CustomerGroup", 4, [], "n"),
    ("Customer", 90, [settings.AUTH_USER_MODEL, "CustomerGroup"], "ntd"),
    ("Address", 110, ["Customer", "Country"], "nt"),
    ("Wishlist", 20, ["Customer"], "n"),
    ("WishlistItem", 50, ["Wishlist", "Product"], "d"),
    ("Cart", 20, ["Customer"], "d"),
    ("CartItem", 40, ["Cart", "Variant"], "m"),
    ("Coupon", 15, [], "nmd"),
    ("Promotion", 6, [], "nt"),
    ("PromotionRule", 12, ["Promotion", "Category"], "j"),
    ("Order", 150, ["Customer", "Address", "Currency"], "mjd"),
    ("OrderLine", 340, ["Order", "Variant"], "nm"),
    ("OrderNote", 30, ["Order"], "td"),
    ("CouponUse", 20, ["Coupon", "Order"], "d"),
    ("PaymentMethod", 5, [], "n"),
    ("Payment", 150, ["Order", "PaymentMethod"], "mjd"),
    ("Refund", 8, ["Payment"], "tm"),
    ("Invoice", 140, ["Order"], "nmd"),
    ("InvoiceLine", 160, ["Invoice", "OrderLine"], "m"),
    ("Shipment", 130, ["Order", "Carrier"], "nd"),
    ("ShipmentLine", 150, ["Shipment", "OrderLine"], ""),
    ("ReturnRequest", 8, ["Order"], "td"),
    ("ReturnLine", 10, ["ReturnRequest", "OrderLine"], ""),
    ("GiftCard", 10, ["Customer"], "nm"),
    ("GiftCardUse", 6, ["GiftCard", "Payment"], "m"),
    ("LoyaltyAccount", 50, ["Customer"], "m"),
    ("LoyaltyEntry", 80, ["LoyaltyAccount"], "tmd"),
    ("Review", 60, ["Product", "Customer"], "ntd"),
    ("ReviewVote", 50, ["Review", "Customer"], "d"),
    ("Question", 20, ["Product", "Customer"], "td"),
    ("Answer", 20, ["Question"], "td"),
    ("Subscriber", 40, ["Customer"], "nd"),
    # The last one takes the rows that are left.
    ("OrderEvent", None, ["Order"], "tjd"),
]

# (model, field, target, links of each row): tables without a model of their own.
LINKS = [
    ("Product", "tags", "Tag", 1),
    ("Product", "collections", "Collection", 1),
    ("Product", "related", "self", 1),
]
